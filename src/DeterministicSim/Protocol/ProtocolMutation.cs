namespace FtAkka.DeterministicSim.Protocol;

/// <summary>Mistakes planted into the shell around the protocol, to see that the checks see them (docs/simulation.md, "Mutations").</summary>
public enum ProtocolMutation
{
    /// <summary>None.</summary>
    None,

    /// <summary>Outputs leave before the backup has acknowledged their mark.</summary>
    ReleaseBeforeAck,

    /// <summary>The arbiter grants every claim.</summary>
    TwoWinners,

    /// <summary>Now and then an entry of the log is not replayed.</summary>
    LostEntry,

    /// <summary>Going live, pending disk requests are not issued again.</summary>
    SkippedReissue,

    /// <summary>Devices do not look at the fence.</summary>
    IgnoredFence,

    /// <summary>The console shows repeated bytes again.</summary>
    ConsoleRepeated,

    /// <summary>Now and then the backup delivers an input one instruction late.</summary>
    OffByOneIcount,

    /// <summary>The primary reports outputs as released that have not left.</summary>
    WatermarkAhead,

    /// <summary>Going live, outputs that may not have left are not sent again.</summary>
    SkippedResend,

    /// <summary>Disk requests that conflict run side by side.</summary>
    UnserializedDisk,

    /// <summary>The lease runs from the receipt of an acknowledgement instead of the sending of what it acknowledges.</summary>
    LeaseFromReceipt,

    /// <summary>The device keeps a reference to the guest's memory instead of a copy of a write's data: the forgotten bounce buffer.</summary>
    ForgottenBounceBuffer,

    /// <summary>The backup does not compare digests.</summary>
    IgnoredDigest,

    /// <summary>Replay that is held when the primary falls silent stays so.</summary>
    LastingHold,
}

/// <summary>An invariant did not hold.</summary>
internal sealed class InvariantException(string invariant, string detail) : Exception(detail)
{
    /// <summary>Its name, as in docs/simulation.md.</summary>
    public string Invariant { get; } = invariant;
}

/// <summary>Names of invariants, as in docs/simulation.md.</summary>
internal static class Invariant
{
    public const string SingleActor = "one-actor";
    public const string SameOutput = "same-output";
    public const string ConsoleOnce = "console";
    public const string DiskOrder = "disk-order";
    public const string DiskContent = "disk-content";
    public const string Survivor = "survivor";
    public const string ReplicasAgree = "replicas-agree";
    public const string DigestSeen = "digest-seen";
    public const string LogDrained = "log-drained";
    public const string OutputLost = "output-lost";
    public const string Bounded = "bounded";
    public const string Liveness = "liveness";
    public const string PerformerContract = "performer-contract";
    public const string Expected = "expectation";
    public const string NoException = "no-failure";
}
