using FtAkka.Machine.Events;
using FtAkka.Recordings;

namespace FtAkka.GdbStub;

/// <summary>Serves gdb with a recording, until a debugger ends it or the user does.</summary>
public static class ReplayDebugging
{
    /// <summary>Serves.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="from">Where the first debugger finds the machine.</param>
    /// <param name="port">Port on the loopback; 0 for a free one.</param>
    /// <param name="output">Takes the guest's outputs as they are passed, or null.</param>
    /// <param name="progress">Takes a line now and then.</param>
    /// <param name="cancelled">The user ends it.</param>
    /// <exception cref="GdbPortException">The port cannot be had.</exception>
    public static void Run(
        RecordingReader recording, ulong from, int port, Action<MachineEffect>? output, Action<string> progress, CancellationToken cancelled)
    {
        ArgumentNullException.ThrowIfNull(progress);
        using var traveller = new TimeTraveller(recording);
        traveller.Interrupted = () => cancelled.IsCancellationRequested;
        traveller.Seek(from);
        traveller.Output = output;
        using GdbServer server = GdbServer.Listen(port);
        progress($"at icount {traveller.Icount}; in gdb: target remote :{server.Port}");
        var target = new ReplayDebugTarget(traveller);
        traveller.Interrupted = () => cancelled.IsCancellationRequested || server.IsInterrupted();
        while (!target.IsKilled && server.Accept(cancelled))
        {
            server.Serve(target);
            progress(target.IsKilled ? "the debugger ended the replay" : $"the debugger left at icount {traveller.Icount}; waiting for the next one");
        }
        cancelled.ThrowIfCancellationRequested();
    }
}
