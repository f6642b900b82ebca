namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>What a simulation can do to hosts, network, storage and clocks. Each kind has a counter of how often it took effect.</summary>
public enum FaultKind
{
    /// <summary>A host loses its memory and what its disks had not made durable. It starts again, empty, after the fault's duration.</summary>
    HostCrash,

    /// <summary>A process stands still for the fault's duration, and goes on as if nothing had happened.</summary>
    HostPause,

    /// <summary>Two hosts do not reach each other.</summary>
    Partition,

    /// <summary>A host does not reach another, which reaches it.</summary>
    OneWayPartition,

    /// <summary>Two hosts are cut off and reached again, in turns, over the fault's duration.</summary>
    FlappingPartition,

    /// <summary>Frames are lost by chance. Magnitude: per million.</summary>
    FrameLoss,

    /// <summary>Frames are late, some very late. Magnitude: microseconds of the median.</summary>
    FrameDelay,

    /// <summary>Frames overtake each other.</summary>
    FrameReordering,

    /// <summary>Frames arrive twice. Magnitude: per million.</summary>
    FrameDuplication,

    /// <summary>Frames arrive with a bit changed. Magnitude: per million.</summary>
    FrameCorruption,

    /// <summary>Disk requests take long. Magnitude: microseconds.</summary>
    DiskSlow,

    /// <summary>Disk requests fail.</summary>
    DiskFailure,

    /// <summary>When the host crashes, a write that was under way is there in part.</summary>
    DiskTornWrite,

    /// <summary>When the host crashes, writes that were not flushed are gone, in any selection.</summary>
    DiskLostWrite,

    /// <summary>Writes fail for want of space.</summary>
    DiskFull,

    /// <summary>The arbiter answers late. Magnitude: microseconds.</summary>
    ArbiterSlow,

    /// <summary>The arbiter does not answer, or says that its storage is out of reach.</summary>
    ArbiterUnreachable,

    /// <summary>A host's clock is off from the beginning. Magnitude: microseconds.</summary>
    ClockSkew,

    /// <summary>A host's clock runs fast or slow. Magnitude: parts per million, signed; within what the failure model allows.</summary>
    ClockDrift,

    /// <summary>A host's wall clock jumps. Magnitude: microseconds, signed.</summary>
    ClockJump,

    /// <summary>A backup executes slowly. Magnitude: per cent of its speed.</summary>
    BackupSlow,

    /// <summary>The buffers of log and outputs have room for little. Magnitude: bytes.</summary>
    LogBufferFull,

    /// <summary>A digest in the log is wrong: the backup must see it.</summary>
    DigestWrong,

    /// <summary>A host's connections to another end, and the other is not told: it learns when it sends, or by silence.</summary>
    ConnectionReset,

    /// <summary>About half of the limits of log, outputs, batches, copies and the card's queue are small. Magnitude: a number that draws which, and how small.</summary>
    SmallLimits,

    /// <summary>A host cannot open the VM's disk, as where nothing is mounted. What has it open already has it.</summary>
    DiskNotThere,

    /// <summary>The monitor fails in the next step of a host's replica: the replica must fall silent and end.</summary>
    ShellThrows,
}

/// <summary>Moments of the protocol at which a host may be crashed, wherever in time they fall.</summary>
public enum NamedMoment
{
    /// <summary>Pages of a clone are being copied.</summary>
    CloneRound,

    /// <summary>The machine stands for the last copy, and the channel opens.</summary>
    FinalSwitch,

    /// <summary>An acknowledgement was sent, and the outputs it releases have not left.</summary>
    BetweenAckAndRelease,

    /// <summary>A backup that suspects its primary replays the rest of its log.</summary>
    Drain,

    /// <summary>The arbiter has recorded the new owner, and nobody outside knows it yet.</summary>
    BetweenTestAndSetAndAnnouncement,

    /// <summary>Pending disk requests are being issued again.</summary>
    Reissue,

    /// <summary>A survivor is being protected again.</summary>
    Reprotection,
}
