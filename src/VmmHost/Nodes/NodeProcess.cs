using Akka.Actor;
using Akka.Hosting;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Composes the process of a node: the generic host with its lifetime, log and health checks, and Akka in it.</summary>
internal static class NodeProcess
{
    /// <summary>Time for what follows the hand-over: connections are flushed, actors stop.</summary>
    private static readonly TimeSpan SystemEnd = TimeSpan.FromSeconds(15);

    /// <summary>How long the node's actor may take to answer before the node counts as hung.</summary>
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(5);

    /// <summary>A node's process, not started.</summary>
    /// <exception cref="CommandFailedException">The node cannot work with what it finds on this host.</exception>
    public static IHost Build(NodeSettings settings, LogFormat format, Terminal terminal)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        IServiceCollection services = builder.Services;
        ILoggerFactory loggers = HostLog.OnStandardError(format);
        NodeOptions options = settings.ToOptions(loggers.CreateLogger("node"));
        services.AddSingleton(loggers);
        services.AddSingleton(settings);
        services.AddSingleton(terminal);
        services.AddSingleton<ISystemdNotifier, SystemdNotifier>();
        services.AddSingleton<IHostLifetime, NodeLifetime>();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = NodeService.LeaveMost(settings) + SystemEnd);
        services.AddHealthChecks();
        services.AddAkka(NodeOptions.SystemName, (akka, _) => akka
            .AddHocon(settings.AkkaOverrides, HoconAddMode.Prepend)
            .AddHoconFile(HostActorSystem.ConfigFile, HoconAddMode.Append)
            .AddHocon(RemotingDefaults.Reference, HoconAddMode.Append)
            .AddSetup(new HostLogSetup(loggers))
            .WithActors((system, registry) => registry.Register<NodeActor>(
                system.ActorOf(NodeActor.Props(options), NodeActor.Name)))
            .WithActorSystemLivenessCheck()
            .WithHealthCheck("node", AnswersAsync));
        services.AddHostedService<NodeService>();
        services.AddHostedService<NodeWatchdog>();
        services.AddHostedService<CertificateWatch>();
        return builder.Build();
    }

    private static async Task<HealthCheckResult> AnswersAsync(ActorSystem system, ActorRegistry registry, CancellationToken cancelled)
    {
        try
        {
            await registry.Get<NodeActor>().Ask<NodeProtocol.Replicas>(new NodeProtocol.List(), AnswerTime, cancelled).ConfigureAwait(false);
            return HealthCheckResult.Healthy();
        }
        catch (AskTimeoutException)
        {
            return HealthCheckResult.Unhealthy($"The node's actor has not answered for {AnswerTime.TotalSeconds} s.");
        }
    }
}
