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

    /// <summary>Calls <paramref name="end"/> for each of the signals.</summary>
    public EndingSignals(Action end) => registrations =
    [
        .. Signals.Select(signal => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            end();
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
