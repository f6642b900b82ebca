using Akka.Actor;
using Akka.Hosting;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using Microsoft.Extensions.Hosting;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Control of a node while its actor system runs: opens the control socket, and at the stop hands the VMs over before the socket and the actor
/// system end.
/// </summary>
internal sealed class NodeService(Terminal terminal, NodeSettings settings, IRequiredActor<NodeActor> node) : IHostedService, IDisposable
{
    /// <summary>How long the node may take for its answer beside the hand-over itself.</summary>
    private static readonly TimeSpan LeaveGrace = TimeSpan.FromSeconds(5);

    private ControlServer? control;

    /// <summary>The longest that an orderly stop of a node takes.</summary>
    public static TimeSpan LeaveMost(NodeSettings settings) => settings.StopCopyTimeout + settings.HandOverTimeout + LeaveGrace;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        control = new ControlServer(settings.ControlSocket, settings.Name, node.ActorRef, settings.DiskDirectory,
            () => settings.Certificate?.Warning(DateTimeOffset.UtcNow));
        terminal.Progress($"node {settings.Name} is ready, control socket {settings.ControlSocket}");
        return Task.CompletedTask;
    }

    /// <summary>Still under control and on the wire: VMs are handed over, and clients may ask what became of them.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (control is null)
        {
            return;
        }
        terminal.Progress($"node {settings.Name} stops");
        try
        {
            NodeProtocol.Left left = await node.ActorRef.Ask<NodeProtocol.Left>(new NodeProtocol.Leave(), LeaveMost(settings), CancellationToken.None).ConfigureAwait(false);
            foreach (string line in left.What)
            {
                terminal.Progress(line);
            }
        }
        catch (AskTimeoutException)
        {
            terminal.Progress($"node {settings.Name} does not answer and is stopped; backups on other nodes take over");
        }
        finally
        {
            Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        control?.Dispose();
        control = null;
    }
}
