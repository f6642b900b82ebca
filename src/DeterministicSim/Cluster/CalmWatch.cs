using System.Globalization;
using FtAkka.DeterministicSim.Reports;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Knows since when nothing is wrong in the cluster, and so which suspicions are needless: where every host runs, no fault is on and none has just ended, nobody may
/// take over from a primary that does not hand over, and no primary may give up its backup.
/// </summary>
internal sealed class CalmWatch(ClusterWorld world)
{
    /// <summary>What a fault leaves behind, such as a connection that is made anew or a channel that is resumed, is over by then: twice the longest time-out of the channel.</summary>
    public static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(3);

    private readonly HashSet<ulong> _yielded = [];
    private TimeSpan _disturbed;
    private TimeSpan _left;

    /// <summary>How often the VM got a new generation, and why.</summary>
    public SortedDictionary<GenerationCause, long> Generations { get; } = [];

    /// <summary>Nothing is wrong, and nothing was for a while.</summary>
    public bool Holds => HoldsSince(world.Now);

    /// <summary>Nothing was wrong at a time, shortly before it, nor ever since.</summary>
    public bool HoldsSince(TimeSpan time) => time - _left > Aftermath && HoldsApartFromLeaving(time);

    /// <summary>The same, though a node may have begun to leave.</summary>
    public bool HoldsApartFromLeaving(TimeSpan time) =>
        time - _disturbed > Aftermath && !world.Faults.DisturbNow && Array.TrueForAll([.. world.Hosts], host => host.IsRunning);

    /// <summary>Something is wrong at this moment: it begins, happens or ends.</summary>
    /// <param name="lasts">How long it is certain to be felt.</param>
    public void Disturbed(TimeSpan lasts = default) => _disturbed = world.Now + lasts > _disturbed ? world.Now + lasts : _disturbed;

    /// <summary>A node stops in order, as far as a replica is told.</summary>
    public void Leaves() => _left = world.Now;

    /// <summary>The primary of a generation tells its backup that it may take over.</summary>
    public void Yielded(ulong generation) => _yielded.Add(generation);

    /// <summary>The arbiter has a new record.</summary>
    /// <param name="claim">The new owner.</param>
    /// <param name="before">The owner before; null for the first.</param>
    /// <param name="starts">The VM is started, not taken over.</param>
    public void RecordCreated(OwnershipClaim claim, OwnershipRecord? before, bool starts)
    {
        GenerationCause cause = starts || before is null ? GenerationCause.Start
            : before.Node == claim.Replica.Node && before.Incarnation == claim.Replica.Incarnation ? GenerationCause.Alone
            : _yielded.Contains(before.Generation) ? GenerationCause.HandOver
            : Holds ? GenerationCause.Needless
            : GenerationCause.Suspicion;
        Generations[cause] = Generations.GetValueOrDefault(cause) + 1;
        if (cause == GenerationCause.Needless)
        {
            world.Fail("needless", string.Create(CultureInfo.InvariantCulture,
                $"{claim.Replica.Node} takes over generation {claim.Generation} from {before!.Node}, and nothing has been wrong for {(world.Now - _disturbed).TotalSeconds:0.0} s"));
        }
    }

    /// <summary>A primary goes on without its backup.</summary>
    public void Dropped(SimulatedHost host, ReplicaEffect.DropBackup drop)
    {
        if (drop.Cause is DropCause.Silent or DropCause.GaveUp or DropCause.EntriesGone && Holds)
        {
            world.Fail("needless", string.Create(CultureInfo.InvariantCulture,
                $"{host.Name} gives up its backup on {drop.Peer} ({drop.Why}), and nothing has been wrong for {(world.Now - _disturbed).TotalSeconds:0.0} s"));
        }
    }
}
