using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// The life of a node's process. The first signal asks for an orderly stop; who sends another has no patience, and the process ends at once. SIGHUP, which a terminal
/// sends that is closed, does nothing. A service manager that waits for it (<c>Type=notify</c> under systemd, <c>NOTIFY_SOCKET</c>) is told when the node is ready and when it stops.
/// </summary>
internal sealed class NodeLifetime(IHostApplicationLifetime application, ISystemdNotifier manager) : IHostLifetime, IDisposable
{
    private EndingSignals? signals;
    private int asked;

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        signals = new EndingSignals(() =>
        {
            if (Interlocked.Exchange(ref asked, 1) != 0)
            {
                Environment.Exit(ExitCode.Failed);
            }
            application.StopApplication();
        }, hangUpEnds: false);
        application.ApplicationStarted.Register(() => manager.Notify(ServiceState.Ready));
        application.ApplicationStopping.Register(() => manager.Notify(ServiceState.Stopping));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => signals?.Dispose();
}
