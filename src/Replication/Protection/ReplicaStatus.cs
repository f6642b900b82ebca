using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>What an operator sees of a replica.</summary>
public sealed record ReplicaStatus
{
    public required ReplicaRole Role { get; init; }

    public required ulong Generation { get; init; }

    /// <summary>Node of the peer, if there is one.</summary>
    public string? Peer { get; init; }

    /// <summary>The backup can take over, and without delay: it has what it needs, and <see cref="Lag"/> is near its target.</summary>
    public bool Protected { get; init; }

    /// <summary>The backup can take over, however long it would take to come to where the primary is.</summary>
    public bool CanTakeOver { get; init; }

    /// <summary>A live replica's devices are open, and its machine runs, or has run.</summary>
    public bool Runs { get; init; }

    /// <summary>Why the backup could not go live on its host, as that has found; null if it could, and where there is no backup.</summary>
    public string? Unable { get; init; }

    /// <summary>Newest entry recorded (primary) or received (backup).</summary>
    public Lsn LogEnd { get; init; }

    /// <summary>Newest entry the backup has received.</summary>
    public Lsn Acknowledged { get; init; }

    /// <summary>Newest entry the backup has executed.</summary>
    public Lsn Executed { get; init; }

    public ulong Icount { get; init; }

    public int LogEntries { get; init; }

    public long LogBytes { get; init; }

    public int HeldOutputs { get; init; }

    /// <summary>Outputs that wait, or that a device has and has not performed.</summary>
    public int OutputsUnderWay { get; init; }

    public long OutputBytes { get; init; }

    public ulong LastReleased { get; init; }

    public TimeSpan Lag { get; init; }

    /// <summary>For how long nobody would serve the VM's clients if its host died now: detection or drain, whichever is longer, and take-over, as measured so far. Null without a backup that can take over.</summary>
    public TimeSpan? OutageExpected { get; init; }

    public int SharePercent { get; init; } = 100;

    public StopReasons Stopped { get; init; }

    /// <summary>How often the arbiter has not answered, while a question is open.</summary>
    public int ArbiterFailures { get; init; }

    /// <summary>Bytes of log entries sent to backups, repetitions included, since this replica went live.</summary>
    public long LogBytesSent { get; init; }

    /// <summary>How long half of the outputs waited for their acknowledgement at most, since this replica went live.</summary>
    public TimeSpan OutputDelayMedian { get; init; }

    /// <summary>The same for 99 of 100.</summary>
    public TimeSpan OutputDelayP99 { get; init; }

    /// <summary>Outputs that waited.</summary>
    public long OutputsDelayed { get; init; }
}
