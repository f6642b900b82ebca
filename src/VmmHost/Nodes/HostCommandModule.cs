using System.CommandLine;
using System.Runtime.InteropServices;
using Akka.Actor;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka host</c>: the node process of a host.</summary>
public sealed class HostCommandModule : ICommandModule
{
    /// <summary>Name of the verb.</summary>
    public const string Verb = "host";

    private static readonly TimeSpan LeaveGrace = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public string Path => Verb;

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var name = new Option<string>("--name") { Description = "Name of this node.", HelpName = "NODE", Required = true };
        var config = new Option<string>("--config") { Description = "The node's HOCON file, as 'cluster init' writes it.", HelpName = "FILE", Required = true };
        var insecure = new Option<bool>("--insecure-tcp") { Description = "Talk to other nodes without encryption and authentication." };
        var format = new Option<LogFormat>("--log-format") { Description = "How the log is written to standard error: text, or json with a document per line.", HelpName = "text|json" };
        var command = new Command("host", "Run the node of this host, until SIGTERM or Ctrl-C, which hands protected VMs over.") { name, config, insecure, format };
        command.SetAction((parsed, cancelled) => RunAsync(
            terminal, NodeSettings.Read(parsed.GetValue(config)!, parsed.GetValue(name)!, parsed.GetValue(insecure)), parsed.GetValue(format), cancelled));
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, NodeSettings settings, LogFormat format, CancellationToken cancelled)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var signals = new EndingSignals(() =>
        {
            // The first signal asks for an orderly stop; who sends another has no patience.
            if (!asked.TrySetResult())
            {
                Environment.Exit(ExitCode.Failed);
            }
        });
        using CancellationTokenRegistration registered = cancelled.UnsafeRegister(_ => asked.TrySetResult(), null);
        using ILoggerFactory loggers = HostLog.OnStandardError(format);
        ILogger log = loggers.CreateLogger("node");
        using ActorSystem system = StartSystem(settings, loggers);
        IActorRef node = system.ActorOf(NodeActor.Props(settings.ToOptions(log)), NodeActor.Name);
        using (new ControlServer(settings.ControlSocket, settings.Name, node, settings.DiskDirectory))
        {
            terminal.Progress($"node {settings.Name} is ready, control socket {settings.ControlSocket}");
            await asked.Task.ConfigureAwait(false);
            terminal.Progress($"node {settings.Name} stops");
            await LeaveAsync(terminal, node, settings).ConfigureAwait(false);
        }
        await system.Terminate().ConfigureAwait(false);
        return ExitCode.Ok;
    }

    /// <summary>Still under control and on the wire: VMs are handed over, and clients may ask what became of them.</summary>
    private static async Task LeaveAsync(Terminal terminal, IActorRef node, NodeSettings settings)
    {
        try
        {
            NodeProtocol.Left left = await node.Ask<NodeProtocol.Left>(new NodeProtocol.Leave(), settings.HandOverTimeout + LeaveGrace).ConfigureAwait(false);
            foreach (string line in left.What)
            {
                terminal.Progress(line);
            }
        }
        catch (AskTimeoutException)
        {
            terminal.Progress($"node {settings.Name} does not answer and is stopped; backups on other nodes take over");
        }
    }

    private static ActorSystem StartSystem(NodeSettings settings, ILoggerFactory loggers)
    {
        try
        {
            return ActorSystem.Create(NodeOptions.SystemName, BootstrapSetup.Create().WithConfig(settings.Akka).And(new HostLogSetup(loggers)));
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            // The wire tells of a wrong certificate or a port in use by exceptions of its own.
            throw new CommandFailedException($"The node {settings.Name} cannot start: {failed.GetBaseException().Message}", failed);
        }
    }
}
