using System.Collections.Immutable;
using Akka.Actor;

namespace FtAkka.Nodes;

/// <summary>The console of a replica on a node, for a client of the node. It ends with the replica.</summary>
/// <param name="node">The node's actor.</param>
/// <param name="process">The replica's process.</param>
public sealed class VmConsole(IActorRef node, IActorRef process)
{
    /// <summary>Output from a position on, or from the oldest byte kept if that is later. Waits until there is some.</summary>
    /// <returns>The bytes and the position of the first; no bytes once the replica has ended and all was read.</returns>
    public async Task<(ulong Offset, ImmutableArray<byte> Bytes)> ReadAsync(ulong from, CancellationToken cancelled)
    {
        while (true)
        {
            NodeProtocol.ConsoleRead read = await node.Ask<NodeProtocol.ConsoleRead>(new NodeProtocol.ReadConsole(process, from), cancelled).ConfigureAwait(false);
            if (read.IsEnd || read.Bytes.Length > 0)
            {
                return (read.Offset, read.Bytes);
            }
        }
    }

    /// <summary>A client types. Waits as long as the guest takes nothing.</summary>
    public async Task TypeAsync(ImmutableArray<byte> bytes, CancellationToken cancelled)
    {
        while (!(await node.Ask<NodeProtocol.ConsoleTyped>(new NodeProtocol.TypeConsole(process, bytes), cancelled).ConfigureAwait(false)).IsTaken)
        {
        }
    }
}
