using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Feeds the service manager's watchdog (<c>WatchdogSec=</c> under systemd, <c>WATCHDOG_USEC</c>) as long as the node is alive: its actor system runs
/// and its actor answers. A node that hangs is then ended by the manager, and the backups of its VMs take over.
/// </summary>
internal sealed class NodeWatchdog(HealthCheckService health, ISystemdNotifier manager, ILoggerFactory loggers) : BackgroundService
{
    private static readonly ServiceState Alive = new("WATCHDOG=1");

    /// <summary>How often the manager wants to hear; null if it does not ask.</summary>
    public static TimeSpan? Interval =>
        long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds) && microseconds > 0
            ? TimeSpan.FromMicroseconds(microseconds) : null;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!manager.IsEnabled || Interval is not { } interval)
        {
            return;
        }
        ILogger log = loggers.CreateLogger("watchdog");
        using var timer = new PeriodicTimer(interval / 3);
        do
        {
            HealthReport report = await health.CheckHealthAsync(stoppingToken).ConfigureAwait(false);
            if (report.Status == HealthStatus.Healthy)
            {
                manager.Notify(Alive);
            }
            else
            {
                string ill = string.Join(", ", report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => entry.Key));
                NodeLog.Ill(log, ill);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
    }
}

/// <summary>Lines of a node's process.</summary>
internal static partial class NodeLog
{
    [LoggerMessage(Level = LogLevel.Error, Message = "The node is not alive: {What}. The service manager is not told otherwise.")]
    public static partial void Ill(ILogger log, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Renew the node's certificate: {What}.")]
    public static partial void Renew(ILogger log, string what);
}
