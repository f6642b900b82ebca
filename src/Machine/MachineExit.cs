using FtAkka.Machine.Events;

namespace FtAkka.Machine;

/// <summary>Why <see cref="GuestMachine.Run"/> returned, for good or not (<see cref="MachineExitReasons.IsFinal"/>). The numbers of those that last stand in logs and snapshots; 6 is free.</summary>
public enum MachineExitReason
{
    /// <summary>The asked number of instructions has retired.</summary>
    BudgetSpent,
    /// <summary>
    /// The CPU waits in HLT. It goes on after an input event; if a timer is armed, a <see cref="ClockAdvance"/> to
    /// <see cref="MachineExit.NextTimerTsc"/> or later is such an event.
    /// </summary>
    Idle,
    /// <summary>Many effects wait to be performed, or large ones (<see cref="MachineLimits"/>). Run again afterwards.</summary>
    EffectsPending,
    /// <summary>The guest, or an operator, switched the machine off (<see cref="MachineConfig.OnPowerOff"/>). Final.</summary>
    PowerOff,
    /// <summary>The guest wrote the reset register, or an operator pressed reset (<see cref="MachineConfig.OnReboot"/>). Final.</summary>
    Reset,
    /// <summary>The CPU is in shutdown after a triple fault: a crash, or a guest that reboots this way (<c>reboot=t</c>). See <see cref="MachineConfig.OnCrash"/>. Final.</summary>
    TripleFault,
    /// <summary>A debug stop asked for by the host.</summary>
    Debug = 7,
    /// <summary>The guest's kernel panicked, and then wrote the reset register (<see cref="MachineConfig.OnCrash"/>). Final.</summary>
    Panic = 8,
    /// <summary>The guest has crashed, and the machine is kept as it was then: it executes nothing until an operator resets it or switches it off.</summary>
    Held = 9,
}

/// <summary>What reasons of an exit have in common.</summary>
public static class MachineExitReasons
{
    /// <summary>Whether the machine does not run on.</summary>
    public static bool IsFinal(this MachineExitReason reason) =>
        reason is MachineExitReason.PowerOff or MachineExitReason.Reset or MachineExitReason.TripleFault or MachineExitReason.Panic;
}

/// <summary>What a run came to.</summary>
/// <param name="Reason">Why it ended.</param>
/// <param name="Icount">Instructions retired since power-on.</param>
/// <param name="NextTimerTsc">When the guest's timer expires next, if it is armed; in the scale of <see cref="ClockAdvance"/>.</param>
/// <param name="Effects">What left the machine, in order.</param>
public sealed record MachineExit(MachineExitReason Reason, ulong Icount, ulong? NextTimerTsc, IReadOnlyList<MachineEffect> Effects);
