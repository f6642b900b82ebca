using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Says in the log, from thirty days before the end of the node's certificate on, that it must be renewed. A node runs for longer than that, and once the
/// certificate has ended it loses its peers with the next connection that breaks.
/// </summary>
internal sealed class CertificateWatch(NodeSettings settings, ILoggerFactory loggers) : BackgroundService
{
    /// <summary>Often enough to be seen in the log of any day.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromHours(12);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (settings.Certificate is not { } certificate)
        {
            return;
        }
        ILogger log = loggers.CreateLogger("certificate");
        using var timer = new PeriodicTimer(Interval);
        do
        {
            if (certificate.Warning(DateTimeOffset.UtcNow) is { } warning)
            {
                NodeLog.Renew(log, warning);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
    }
}
