using System.Runtime.InteropServices;

namespace FtAkka.VmmHost.Run;

/// <summary>
/// Turns the signals that ask a process to end into an action, so that a VM's images are closed and the terminal is put back. In raw mode
/// the keyboard sends none of them; others may.
/// </summary>
internal sealed class EndingSignals : IDisposable
{
    private static readonly PosixSignal[] Signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT];

    private readonly PosixSignalRegistration[] registrations;

    /// <summary>Takes the signals.</summary>
    /// <param name="end">Called for each of them.</param>
    /// <param name="hangUpEnds">SIGHUP is one of them; otherwise it does nothing, as a service that outlives its terminal wants it.</param>
    public EndingSignals(Action end, bool hangUpEnds = true) => registrations =
    [
        .. Signals.Select(signal => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            if (hangUpEnds || signal != PosixSignal.SIGHUP)
            {
                end();
            }
        })),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations)
        {
            registration.Dispose();
        }
    }
}
