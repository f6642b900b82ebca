using FtAkka.Machine;
using FtAkka.Machine.Events;

namespace FtAkka.Replication.Replay;

/// <summary>Runs a live machine for whoever holds it: plainly, recording, or for a debugger.</summary>
public interface IMachineRunner
{
    /// <summary>The machine.</summary>
    GuestMachine Machine { get; }

    /// <summary>Runs until <paramref name="maxInstructions"/> instructions have retired, or an earlier exit.</summary>
    MachineExit Run(ulong maxInstructions);

    /// <summary>Delivers an input event at the present icount.</summary>
    void Inject(InputEvent input);
}

/// <summary>Runs a machine that nobody records: an unprotected VM.</summary>
public sealed class PlainRunner(GuestMachine machine) : IMachineRunner
{
    /// <inheritdoc/>
    public GuestMachine Machine => machine;

    /// <inheritdoc/>
    public MachineExit Run(ulong maxInstructions) => machine.Run(maxInstructions);

    /// <inheritdoc/>
    public void Inject(InputEvent input) => machine.Inject(input);
}
