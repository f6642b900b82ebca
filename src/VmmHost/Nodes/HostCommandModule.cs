using System.CommandLine;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.Hosting;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka host</c>: the node process of a host.</summary>
public sealed class HostCommandModule : ICommandModule
{
    /// <summary>Name of the verb.</summary>
    public const string Verb = "host";

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
        using IHost host = NodeProcess.Build(settings, format, terminal);
        try
        {
            await host.StartAsync(cancelled).ConfigureAwait(false);
        }
        catch (Exception failed) when (failed is not OutOfMemoryException and not OperationCanceledException and not CommandFailedException)
        {
            // The wire tells of a wrong certificate or a port in use by exceptions of its own.
            throw new CommandFailedException($"The node {settings.Name} cannot start: {failed.GetBaseException().Message}", failed);
        }
        await host.WaitForShutdownAsync(cancelled).ConfigureAwait(false);
        return ExitCode.Ok;
    }
}
