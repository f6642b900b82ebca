using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Digest;
using FtAkka.Nodes;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A mistake that is planted where the real system meets the simulated one, to see that the checkers see it. This one plants none.</summary>
internal class Mutant(ClusterWorld world)
{
    protected ClusterWorld World => world;

    private static readonly SortedDictionary<string, Func<ClusterWorld, Mutant>> All = new(StringComparer.Ordinal)
    {
        ["release-before-ack"] = world => new ReleaseBeforeAck(world),
        ["skipped-reissue"] = world => new SkippedReissue(world),
        ["two-winners"] = world => new TwoWinners(world),
        ["lost-entry"] = world => new LostEntry(world),
        ["off-by-one-icount"] = world => new OffByOneIcount(world),
        ["forgotten-bounce-buffer"] = world => new ForgottenBounceBuffer(world),
        ["ignored-fence"] = world => new IgnoredFence(world),
        ["ignored-digest"] = world => new IgnoredDigest(world),
        ["forgotten-own-write"] = world => new ForgottenOwnWrite(world),
        ["stale-own-read"] = world => new StaleOwnRead(world),
        ["lasting-hold"] = world => new LastingHold(world),
        ["short-write"] = world => new ShortWrite(world),
        ["unfinished-resync"] = world => new UnfinishedResync(world),
        ["false-promise"] = world => new FalsePromise(world),
        ["differing-copy"] = world => new DifferingCopy(world),
        ["mute-channel"] = world => new MuteChannel(world),
        ["false-restart"] = world => new FalseRestart(world),
        ["forgotten-replica"] = world => new ForgottenReplica(world),
        ["endless-offers"] = world => new EndlessOffers(world),
        ["endless-lag"] = world => new EndlessLag(world),
        ["jumping-clock"] = world => new JumpingClock(world),
        ["done-though-refused"] = world => new DoneThoughRefused(world),
        ["acts-though-refused"] = world => new ActsThoughRefused(world),
        ["forgotten-answer"] = world => new ForgottenAnswer(world),
        ["forgotten-failover"] = world => new ForgottenVerb(world, OperatorAction.Failover, new NodeProtocol.Done("planted")),
        ["forgotten-power-off"] = world => new ForgottenVerb(world, OperatorAction.PowerOff, new NodeProtocol.Done("planted")),
        ["forgotten-unprotect"] = world => new ForgottenVerb(world, OperatorAction.Unprotect, new NodeProtocol.Done("planted")),
        ["forgotten-leave"] = world => new ForgottenVerb(world, OperatorAction.NodeStop, new NodeProtocol.Left([])),
    };

    /// <summary>The mistakes that can be planted.</summary>
    public static IReadOnlyCollection<string> Names => All.Keys;

    public static Mutant Of(string? name, ClusterWorld world) => name is null ? new Mutant(world)
        : All.TryGetValue(name, out Func<ClusterWorld, Mutant>? make) ? make(world)
        : throw new ArgumentException($"There is no mutation '{name}'; there are {string.Join(", ", Names)}.", nameof(name));

    /// <summary>What the arbiter says to a claim.</summary>
    public virtual OwnershipVerdict Verdict(OwnershipVerdict verdict) => verdict;

    /// <summary>The fence of a replica's devices.</summary>
    public virtual Fence Fence(Fence fence) => fence;

    /// <summary>The storage of a replica that is live.</summary>
    public virtual IDiskBackend Disk(IDiskBackend storage, SimulatedHost host) => storage;

    /// <summary>A backup's own copy of a disk.</summary>
    public virtual IDiskBackend OwnDisk(IDiskBackend storage) => storage;

    /// <summary>A replica whose replay is held goes live.</summary>
    public virtual void GoesLiveHeld(TrackedReplica replica)
    {
    }

    /// <summary>The limits that a replica keeps to.</summary>
    public virtual ProtectionOptions Limits(ProtectionOptions limits) => limits;

    /// <summary>A replica has been made.</summary>
    public virtual void Created(SimulatedHost host, ReplicaDefinition definition)
    {
    }

    /// <summary>A live replica opens its devices.</summary>
    public virtual void DevicesOpened(SimulatedHost host)
    {
    }

    /// <summary>What a node is told when an operator asks it for something.</summary>
    public virtual object Asking(ScriptedAction action, object message) => message;

    /// <summary>What it answers; null for nothing.</summary>
    public virtual object? Answering(ScriptedAction action, object answer) => answer;

    /// <summary>How often a message is sent.</summary>
    public virtual int CopiesOf(IChannelMessage message) => 1;

    /// <summary>What a replica sends.</summary>
    public virtual IChannelMessage Sending(TrackedReplica? from, IChannelMessage message) =>
        world.Faults.DigestDue && message is LogAppend { Frames.Length: > 0 } append ? SpoilDigest(append) : message;

    private LogAppend SpoilDigest(LogAppend append)
    {
        bool spoilt = false;
        LogAppend changed = Rewrite(append, entry =>
        {
            if (spoilt || entry.Payload is not DigestPayload { Digest: var digest })
            {
                return entry;
            }
            spoilt = true;
            MachineDigest wrong = Wrong(digest);
            world.Digests.Sent(entry.Lsn, wrong);
            return entry with { Payload = new DigestPayload(wrong) };
        });
        world.Faults.DigestDue &= !spoilt;
        return changed;
    }

    /// <summary>What a wrong digest says.</summary>
    protected virtual MachineDigest Wrong(MachineDigest digest) => digest with { Cpu = digest.Cpu ^ 1 };

    /// <summary>The same message with each entry replaced by what <paramref name="change"/> makes of it.</summary>
    protected static LogAppend Rewrite(LogAppend append, Func<LogEntry, LogEntry> change)
    {
        var bytes = append.Frames.AsMemory();
        var entries = new List<LogEntry>();
        while (bytes.Length > 0)
        {
            if (LogFrame.TryRead(bytes, out var read, out int consumed) != LogFrameError.None)
            {
                return append;
            }
            bytes = bytes[consumed..];
            entries.AddRange(read.Select(change));
        }
        return append with { Frames = [.. LogFrame.Write(entries)] };
    }
}
