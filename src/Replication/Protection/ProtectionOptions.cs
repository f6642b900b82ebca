using System.Collections.Immutable;

namespace FtAkka.Replication.Protection;

/// <summary>Every limit and interval of a protected VM. Both replicas must use the same values.</summary>
public sealed record ProtectionOptions
{
    /// <summary>How often a replica says something on the log channel when it has nothing to say.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Silence of node heartbeats and log channel together after which the peer is suspected.</summary>
    public TimeSpan FailureTimeout { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Silence of the log channel alone after which the peer is suspected, though its node still beats: its VM hangs.</summary>
    public TimeSpan ChannelTimeout { get; init; } = TimeSpan.FromMilliseconds(1500);

    /// <summary>
    /// How long a replica waits for a peer whose node beats, where it may not go on without it, or loses by that: a backup that is being copied, for its primary; a
    /// primary that has yielded, for the backup that drains the log. Nobody is suspected before <see cref="ChannelTimeout"/>, where that is longer.
    /// </summary>
    public TimeSpan PatienceMax { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How often a replica that runs without a backup looks whether the VM is still its own.</summary>
    public TimeSpan OwnershipCheckInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long after it sent a message the primary may act on the outside, once the backup has confirmed that message
    /// (docs/failure-model.md, "Stale primaries").
    /// </summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>By how much, in thousandths, one host's clock may run faster than the other's.</summary>
    public int ClockDriftPerMille { get; init; } = 20;

    /// <summary>A gap between two steps of this process that counts as a pause. The shell steps at least twice as often.</summary>
    public TimeSpan PauseGuard { get; init; } = TimeSpan.FromMilliseconds(150);

    /// <summary>First wait before an unreachable arbiter is asked again; doubles up to <see cref="ArbiterRetryMax"/>.</summary>
    public TimeSpan ArbiterRetryMin { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <inheritdoc cref="ArbiterRetryMin"/>
    public TimeSpan ArbiterRetryMax { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>An arbiter that has not answered for so long is asked again.</summary>
    public TimeSpan ArbiterAnswerMax { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Entries without acknowledgement that are sent again after this time.</summary>
    public TimeSpan ResendAfter { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Entries that are not urgent wait at most so long for company.</summary>
    public TimeSpan BatchDelayMax { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Bytes of entries that are sent at once; also the size of a batch.</summary>
    public int BatchBytesMax { get; init; } = 64 << 10;

    /// <summary>Entries kept until the backup has them (primary), or until it has executed them (backup).</summary>
    public int LogEntriesMax { get; init; } = 64 << 10;

    /// <summary>Bytes of the same; a single larger entry is taken nonetheless.</summary>
    public long LogBytesMax { get; init; } = 64 << 20;

    /// <summary>Outputs that have not left yet.</summary>
    public int OutputsMax { get; init; } = 16 << 10;

    /// <summary>Bytes of the same.</summary>
    public long OutputBytesMax { get; init; } = 64 << 20;

    /// <summary>The backup reports execution, and acknowledges entries that no output waits for, at most so often.</summary>
    public TimeSpan ExecutionReportInterval { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>What a take-over is expected to need beside detection and drain: the arbiter is asked, devices are opened. Once this replica has taken over, its own time counts.</summary>
    public TimeSpan GoLiveExpected { get; init; } = TimeSpan.FromMilliseconds(80);

    /// <summary>Execution lag above which the primary is slowed down.</summary>
    public TimeSpan LagTarget { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Execution lag above which the primary stops.</summary>
    public TimeSpan LagStop { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Execution lag above which "protected" is not said any more; it is said again below <see cref="LagTarget"/>.</summary>
    public TimeSpan LagProtectedMax { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Execution lag below which a stopped primary goes on.</summary>
    public TimeSpan LagResume { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How often the CPU share changes.</summary>
    public TimeSpan LagAdjustInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>By how many percent of the whole it comes back, up to what the backup could follow before; it falls by five times as much at most.</summary>
    public int ShareStepPercent { get; init; } = 4;

    /// <summary>The share never falls below this.</summary>
    public int ShareMinPercent { get; init; } = 10;

    /// <summary>The VM's disks by index; one that is not there is shared.</summary>
    public ImmutableArray<ProtectedDisk> Disks { get; init; } = [];

    /// <summary>Whether each replica has its own copy of the disk.</summary>
    public bool IsSeparate(int disk) => disk >= 0 && disk < Disks.Length && Disks[disk].Sharing == DiskSharing.Separate;

    /// <summary>Whether any disk is separate.</summary>
    public bool HasSeparateDisks
    {
        get
        {
            foreach (var disk in Disks)
            {
                if (disk.Sharing == DiskSharing.Separate)
                    return true;
            }
            return false;
        }
    }

    /// <summary>Whether the backup reads from its own copy what the primary reads from its.</summary>
    public bool BackupReads(int disk) => IsSeparate(disk) && Disks[disk].BackupReads;

    /// <summary>The lease as it may last on the slower of two clocks.</summary>
    public TimeSpan LeasePromise => new(LeaseDuration.Ticks + (LeaseDuration.Ticks * ClockDriftPerMille / 1000));

    /// <summary>What is wrong with the values, for people; null when nothing is.</summary>
    public string? Validate()
    {
        if (HeartbeatInterval <= TimeSpan.Zero || FailureTimeout < HeartbeatInterval + HeartbeatInterval)
            return "failure-timeout must be at least twice heartbeat-interval";
        if (ChannelTimeout < FailureTimeout)
            return "channel-timeout must not be below failure-timeout";
        if (ClockDriftPerMille is < 0 or > 500)
            return "clock-drift must be between 0 and 500 thousandths";
        if (PatienceMax <= TimeSpan.Zero || OwnershipCheckInterval <= TimeSpan.Zero)
            return "patience and ownership-check-interval must be above zero";
        if (LeaseDuration <= HeartbeatInterval || LeasePromise > FailureTimeout)
            return "lease must be longer than heartbeat-interval and, with clock-drift, not longer than failure-timeout: the backup must not go live while the primary may still act";
        if (PauseGuard <= TimeSpan.Zero || PauseGuard > FailureTimeout)
            return "pause-guard must be between zero and failure-timeout";
        if (ArbiterRetryMin <= TimeSpan.Zero || ArbiterRetryMax < ArbiterRetryMin || ArbiterAnswerMax <= TimeSpan.Zero)
            return "arbiter waits must be above zero, the longest not below the first";
        if (ResendAfter <= TimeSpan.Zero || BatchDelayMax < TimeSpan.Zero || ExecutionReportInterval < TimeSpan.Zero)
            return "resend-after must be above zero, batch-delay and execution-report-interval not below";
        if (BatchBytesMax < 1 || LogEntriesMax < 2 || LogBytesMax < 1 || OutputsMax < 1 || OutputBytesMax < 1)
            return "buffers must have room";
        if (LagTarget <= TimeSpan.Zero || LagResume > LagStop || LagTarget > LagStop || LagProtectedMax < LagTarget || LagAdjustInterval <= TimeSpan.Zero)
            return "lag-target and lag-resume must not be above lag-stop, nor lag-target above lag-protected-max";
        return ShareStepPercent is < 1 or > 50 || ShareMinPercent is < 1 or > 100 ? "CPU shares are percents" : null;
    }
}
