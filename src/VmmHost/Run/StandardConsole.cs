using FtAkka.DeviceActors.Consoles;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.VmmHost.Run;

/// <summary>
/// The guest's console on standard input and output. A terminal is in raw mode meanwhile, and is put back on every way out of the process
/// that the process can notice.
/// </summary>
internal sealed class StandardConsole : IDisposable
{
    private RawTerminal? terminal;

    /// <summary>Opens the console.</summary>
    public StreamConsoleLink Open()
    {
        terminal = RawTerminal.TryEnter();
        if (terminal is not null)
        {
            AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
        }
        // Not Console.OpenStandardInput: on a terminal that one edits lines, and changes the terminal's mode for it.
        var input = new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
        return new StreamConsoleLink(input, Console.OpenStandardOutput(), terminal);
    }

    /// <summary>Puts the terminal back.</summary>
    public void Dispose()
    {
        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        terminal?.Dispose();
    }

    private void OnProcessExit(object? sender, EventArgs e) => terminal?.Dispose();
}
