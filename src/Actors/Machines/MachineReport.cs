using FtAkka.Machine;

namespace FtAkka.Actors.Machines;

/// <summary>What a machine actor is doing.</summary>
public enum MachinePhase
{
    /// <summary>Executing.</summary>
    Running,

    /// <summary>The guest halts until a timer or an input.</summary>
    Idle,

    /// <summary>The pace limit makes it wait.</summary>
    Throttled,

    /// <summary>Paused by an operator.</summary>
    Paused,

    /// <summary>Ended.</summary>
    Ended,
}

/// <summary>State and counters of a machine, for people, metrics and tests.</summary>
public sealed record MachineReport
{
    /// <summary>What the machine is doing.</summary>
    public required MachinePhase Phase { get; init; }

    /// <summary>Instructions retired since power-on.</summary>
    public required ulong Icount { get; init; }

    /// <summary>The guest's TSC.</summary>
    public required ulong Tsc { get; init; }

    /// <summary>What the guest's TSC should be by the host's clock; without meaning once the machine has ended.</summary>
    public required ulong HostTsc { get; init; }

    /// <summary>Time since the start.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Part of <see cref="Elapsed"/> spent executing guest instructions.</summary>
    public required TimeSpan Executing { get; init; }

    /// <summary>The farthest the guest's clock was behind the host's when it was advanced.</summary>
    public required TimeSpan ClockLagMax { get; init; }

    /// <summary>How often the guest's clock was advanced while it was executing.</summary>
    public required ulong ClockAdvances { get; init; }

    /// <summary>How often it was then behind by more than 10 ms: the guest did not get the host's CPU for so long.</summary>
    public required ulong ClockAdvancesLate { get; init; }

    /// <summary>How often the machine was run, by why the run ended.</summary>
    public required IReadOnlyDictionary<MachineExitReason, ulong> Exits { get; init; }

    /// <summary>Input events delivered, by the name of their kind.</summary>
    public required IReadOnlyDictionary<string, ulong> Inputs { get; init; }

    /// <summary>Effects performed, by the name of their kind.</summary>
    public required IReadOnlyDictionary<string, ulong> Effects { get; init; }

    /// <summary>Input events that no device took.</summary>
    public required ulong RefusedInputs { get; init; }

    /// <summary>Counters of the CPU by name; empty if it has none.</summary>
    public required IReadOnlyDictionary<string, ulong> Cpu { get; init; }
}
