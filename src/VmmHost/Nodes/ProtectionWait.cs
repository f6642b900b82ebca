using System.Globalization;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Waits for a backup that was asked for, and says on the way how far its copy is.</summary>
internal static class ProtectionWait
{
    private static readonly TimeSpan LooksEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Returns when the VM is protected.</summary>
    /// <param name="terminal">Told how far the copy is.</param>
    /// <param name="socket">Control socket of the node on which the VM is live.</param>
    /// <param name="vm">The VM.</param>
    /// <param name="begun">The copy has begun; false for a VM that gets its backup as soon as its machine runs.</param>
    /// <param name="cancelled">Ends the waiting; the copy goes on.</param>
    /// <exception cref="CommandFailedException">The copy failed, or the VM has ended.</exception>
    public static async Task UntilProtectedAsync(Terminal terminal, string socket, string vm, bool begun, CancellationToken cancelled)
    {
        string? told = null;
        while (true)
        {
            ControlAnswer answer = await ControlClient.AskAsync(socket, new ControlRequest("list"), cancelled).ConfigureAwait(false);
            ReplicaStatusLine? line = answer.Replicas?.FirstOrDefault(line => line.Vm == vm);
            if (Failure(vm, line, begun) is { } failure)
            {
                throw new CommandFailedException(failure);
            }
            begun |= line!.Role != "solo";
            if (line.Protected)
            {
                terminal.Output.WriteLine($"{vm} is protected by {line.Peer}");
                return;
            }
            string far = Progress(line);
            if (far != told)
            {
                terminal.Progress($"{vm}: {far}");
                told = far;
            }
            await Task.Delay(LooksEvery, cancelled).ConfigureAwait(false);
        }
    }

    /// <summary>Why there is nothing to wait for any more; null while there is.</summary>
    public static string? Failure(string vm, ReplicaStatusLine? line, bool begun) => line switch
    {
        null => $"The node has no replica of {vm} any more.",
        { Role: "ended" } => $"The VM {vm} has ended: {line.End}",
        { Role: "solo", LastError: { } why } => $"The VM {vm} is not protected: {why}",
        { Role: "solo" } when begun => $"The VM {vm} is not protected: its copy was given up.",
        _ => null,
    };

    private static string Progress(ReplicaStatusLine line) =>
        line.CanTakeOver ? string.Create(CultureInfo.InvariantCulture, $"its backup on {line.Peer} is {line.LagMs:F0} ms behind")
        : line is { CopyState: { } pages, Role: "cloningPrimary" } ? $"copy to {line.Peer}: {pages}{(line.DiskState is { } disks ? $"; own disks: {disks}" : "")}"
        : "waits for the copy to begin";
}
