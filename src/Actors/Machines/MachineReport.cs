using FtAkka.Machine;

namespace FtAkka.Actors.Machines;

/// <summary>What a machine actor is doing.</summary>
internal enum MachinePhase
{
    /// <summary>Executing.</summary>
    Running,

    /// <summary>The guest halts until a timer or an input.</summary>
    Idle,

    /// <summary>Its observer has not let it run yet.</summary>
    Waiting,

    /// <summary>The limit of its pace makes it wait.</summary>
    Throttled,

    /// <summary>Its consoles have to take what it printed first.</summary>
    Blocked,

    /// <summary>Ended.</summary>
    Ended,
}

/// <summary>What a machine has come to and what it has done, told when it ends.</summary>
public sealed record MachineReport
{
    /// <summary>Instructions retired since power-on.</summary>
    public required ulong Icount { get; init; }

    /// <summary>How often the machine was started again since power-on.</summary>
    public ulong Restarts { get; init; }

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

    /// <summary>Counters of the CPU by name; empty if it has none.</summary>
    public required IReadOnlyDictionary<string, ulong> Cpu { get; init; }
}
