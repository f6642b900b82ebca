using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Protection;

/// <summary>Runs a live machine that is, or may become, protected: every entry and output goes to its <see cref="ReplicaShell"/>.</summary>
internal sealed class ReplicaRunner(MachineRecorder recorder, ReplicaShell shell) : IMachineRunner
{
    /// <inheritdoc/>
    public GuestMachine Machine => recorder.Machine;

    /// <summary>Where the log stands.</summary>
    public LogPosition Position => recorder.Position;

    /// <inheritdoc/>
    public MachineExit Run(ulong maxInstructions)
    {
        MachineExit exit = recorder.Run(maxInstructions);
        shell.Recorded(recorder.TakeEntries(), exit.Effects, exit.Icount);
        return exit;
    }

    /// <inheritdoc/>
    public void Inject(InputEvent input) => recorder.Inject(input);
}
