using FtAkka.DeviceActors.Disks;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A mistake that is planted where the real system meets the simulated one, to see that the checkers see it. This one plants none.</summary>
internal class Mutant(ClusterWorld world)
{
    protected ClusterWorld World => world;

    /// <summary>The mistakes that can be planted.</summary>
    public static IReadOnlyList<string> Names { get; } = [];

    public static Mutant Of(string? name, ClusterWorld world) => name switch
    {
        null => new Mutant(world),
        _ => throw new ArgumentException($"There is no mutation '{name}'; there are {string.Join(", ", Names)}.", nameof(name)),
    };

    /// <summary>What the arbiter says to a claim.</summary>
    public virtual OwnershipVerdict Verdict(OwnershipVerdict verdict) => verdict;

    /// <summary>The storage of a replica that is live.</summary>
    public virtual IDiskBackend Disk(IDiskBackend storage, SimulatedHost host) => storage;

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
            return entry with { Payload = new DigestPayload(digest with { Cpu = digest.Cpu ^ 1 }) };
        });
        if (spoilt)
        {
            world.Faults.DigestDue = false;
            world.Faults.DigestPlanted = world.Now;
            world.Effect(FaultKind.DigestWrong, "");
        }
        return changed;
    }

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
