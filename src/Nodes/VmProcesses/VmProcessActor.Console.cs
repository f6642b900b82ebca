using Akka.Actor;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>The VM's console, for clients that come and go.</summary>
public sealed partial class VmProcessActor
{
    /// <summary>Who reads or types is answered within this time, so that those who have left are forgotten.</summary>
    private static readonly TimeSpan ConsolePatience = TimeSpan.FromSeconds(10);

    private void ReadConsole(VmCommand.ReadConsole read) => ReadAsync(read.Number, read.From).PipeTo(
        self, success: answer => answer, failure: _ => new VmReport.ConsoleRead(read.Number, read.From, [], IsEnd: true));

    private async Task<VmReport.ConsoleRead> ReadAsync(long number, ulong from)
    {
        using var patience = new CancellationTokenSource(ConsolePatience);
        try
        {
            (ulong offset, byte[] bytes) = await console.ReadAsync(from, patience.Token).ConfigureAwait(false);
            return new VmReport.ConsoleRead(number, offset, [.. bytes], IsEnd: bytes.Length == 0);
        }
        catch (OperationCanceledException)
        {
            return new VmReport.ConsoleRead(number, from, [], IsEnd: false);
        }
    }

    private void TypeConsole(VmCommand.TypeConsole typed) => TypeAsync(typed).PipeTo(
        self, success: answer => answer, failure: _ => new VmReport.ConsoleTyped(typed.Number, IsTaken: false));

    private async Task<VmReport.ConsoleTyped> TypeAsync(VmCommand.TypeConsole typed)
    {
        using var patience = new CancellationTokenSource(ConsolePatience);
        try
        {
            await console.TypeAsync(typed.Bytes, patience.Token).ConfigureAwait(false);
            return new VmReport.ConsoleTyped(typed.Number, IsTaken: true);
        }
        catch (OperationCanceledException)
        {
            return new VmReport.ConsoleTyped(typed.Number, IsTaken: false);
        }
    }
}
