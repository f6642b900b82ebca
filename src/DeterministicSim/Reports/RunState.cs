using System.Collections.Immutable;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>States that no fault and no moment names: who stands because something is full, and what was under way when a host crashed. The whole system counts them.</summary>
public enum RunState
{
    /// <summary>A live machine stands: the log is full of entries that its backup has not acknowledged.</summary>
    LogFull,

    /// <summary>A live machine that has a backup stands: as many outputs wait as may.</summary>
    OutputsFull,

    /// <summary>A live machine without a backup stands: devices perform its outputs too slowly.</summary>
    OutputsFullAlone,

    /// <summary>A live machine stands: its backup is too far behind.</summary>
    LagStop,

    /// <summary>A backup's replay is held: it keeps as many outputs as it may.</summary>
    ReplayHeld,

    /// <summary>Replay is held in a replica that goes live: as many requests to its own disk are under way as may.</summary>
    ReplayHeldGoingLive,

    /// <summary>Replay was held when the primary fell silent, or handed over.</summary>
    GoesLiveHeld,

    /// <summary>A primary stands for its outputs while its backup's replay is held for them.</summary>
    BothGatesFull,

    /// <summary>The log sends at once more than its whole buffer may hold: an entry is larger than that.</summary>
    EntryBeyondBuffer,

    /// <summary>Two or more disk requests are under way when a replica takes over.</summary>
    RequestsAtTakeOver,

    /// <summary>A host crashes that hands its VM over, or to which it is handed.</summary>
    CrashInHandOver,

    /// <summary>The source of a copy crashes before it has sent a page.</summary>
    SourceCrashOffered,

    /// <summary>The source of a copy crashes while it sends pages.</summary>
    SourceCrashCopying,

    /// <summary>The source of a copy crashes behind the switch, before the target has confirmed it.</summary>
    SourceCrashFinishing,

    /// <summary>The source of a copy crashes when the target has the copy and may not take over yet.</summary>
    SourceCrashSettling,

    /// <summary>The target of a copy crashes before it was sent a page.</summary>
    TargetCrashOffered,

    /// <summary>The target of a copy crashes while pages are sent to it.</summary>
    TargetCrashCopying,

    /// <summary>The target of a copy crashes behind the switch, before it has confirmed it.</summary>
    TargetCrashFinishing,

    /// <summary>The target of a copy crashes when it has the copy and may not take over yet.</summary>
    TargetCrashSettling,
}

/// <summary>What an exploration must have seen before it says much.</summary>
public static class RunStates
{
    /// <summary>States that 150 seeds of <c>demanding-mixed</c> reach, or the scenario does not test what it is there for.</summary>
    public static ImmutableArray<RunState> MustReach { get; } =
    [
        RunState.LogFull, RunState.OutputsFull, RunState.ReplayHeld, RunState.BothGatesFull, RunState.EntryBeyondBuffer, RunState.RequestsAtTakeOver, RunState.CrashInHandOver,
        RunState.SourceCrashOffered, RunState.SourceCrashCopying, RunState.SourceCrashFinishing, RunState.SourceCrashSettling,
        RunState.TargetCrashOffered, RunState.TargetCrashCopying, RunState.TargetCrashFinishing, RunState.TargetCrashSettling,
    ];
}
