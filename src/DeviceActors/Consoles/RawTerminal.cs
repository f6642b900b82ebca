using System.Runtime.InteropServices;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>Standard input in raw mode: every key goes to the guest at once and unechoed. Disposing restores the former mode.</summary>
public sealed class RawTerminal : IDisposable
{
    private const int StandardInput = 0;
    private const int ApplyNow = 0;              // TCSANOW
    private const int OutputFlags = 4;           // offset of c_oflag
    private const byte OutputPostProcessing = 1; // OPOST
    private const int TerminalStateBytes = 128;  // struct termios is 60 bytes on x86-64 Linux

    private readonly byte[] former;
    private bool restored;

    private RawTerminal(byte[] former) => this.former = former;

    /// <summary>Switches the terminal; null if standard input is none.</summary>
    public static RawTerminal? TryEnter()
    {
        byte[] state = new byte[TerminalStateBytes];
        if (!OperatingSystem.IsLinux() || GetAttributes(StandardInput, state) != 0)
        {
            return null;
        }
        byte[] raw = [.. state];
        MakeRaw(raw);
        // Line feeds keep returning to the left edge: the monitor's own lines on standard error need it, and the guest's are not harmed.
        raw[OutputFlags] |= OutputPostProcessing;
        return SetAttributes(StandardInput, ApplyNow, raw) == 0 ? new RawTerminal(state) : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!restored)
        {
            restored = true;
            _ = SetAttributes(StandardInput, ApplyNow, former);
        }
    }

    [DllImport("libc", EntryPoint = "tcgetattr")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetAttributes(int file, [Out] byte[] state);

    [DllImport("libc", EntryPoint = "tcsetattr")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetAttributes(int file, int when, byte[] state);

    [DllImport("libc", EntryPoint = "cfmakeraw")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern void MakeRaw([In, Out] byte[] state);
}
