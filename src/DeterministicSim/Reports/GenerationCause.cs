namespace FtAkka.DeterministicSim.Reports;

/// <summary>Why a VM has a new generation.</summary>
public enum GenerationCause
{
    /// <summary>It was started.</summary>
    Start,

    /// <summary>Its primary handed over, as an operator or the stop of a node wanted.</summary>
    HandOver,

    /// <summary>Its backup suspected the primary, and something was wrong then, or shortly before.</summary>
    Suspicion,

    /// <summary>Its backup suspected the primary, and nothing had been wrong for a while: a failure.</summary>
    Needless,

    /// <summary>Its primary went on without the backup.</summary>
    Alone,
}
