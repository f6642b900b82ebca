using FtAkka.LogChannelActors.Replicas;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>The records that all hosts share. Creation is atomic, at one instant; nothing is ever changed or lost.</summary>
internal sealed class ArbiterRecords
{
    private readonly List<OwnershipRecord> _records = [];
    private readonly SortedSet<ulong> _ended = [];

    public OwnershipRecord? Newest => _records.Count == 0 ? null : _records[^1];

    public IReadOnlyList<OwnershipRecord> All => _records;

    /// <summary>The test-and-set. True if it created the record.</summary>
    public bool TryCreate(OwnershipClaim claim, string takenAt)
    {
        if (!OwnershipRules.MustCreate(Newest, claim))
        {
            return false;
        }
        _records.Add(new OwnershipRecord(claim.Replica.Vm, claim.Generation, claim.Replica.Node, claim.Replica.Incarnation, takenAt));
        return true;
    }

    public bool HasEnded(ulong generation) => _ended.Contains(generation);

    public void NoteEnd(ulong generation) => _ended.Add(generation);
}

/// <summary>A host's way to the records: late, or not at all, as the faults say.</summary>
internal sealed class SimulatedArbiter(ClusterWorld world, SimulatedHost host, long incarnation) : INodeArbiter
{
    private static readonly TimeSpan LatencyLeast = TimeSpan.FromMicroseconds(300);
    private static readonly TimeSpan LatencyMost = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan GivesUpAfter = TimeSpan.FromMilliseconds(400);

    /// <inheritdoc/>
    public string Place => "the simulated storage";

    /// <inheritdoc/>
    public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => Judge(claim, create: true), answer);

    /// <inheritdoc/>
    public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => Judge(claim, create: false), answer);

    /// <inheritdoc/>
    public OwnershipRecord? Newest(string vm)
    {
        RequireStorage();
        return world.Records.Newest;
    }

    /// <inheritdoc/>
    public OwnershipVerdict ClaimNow(OwnershipClaim claim)
    {
        if (!ClusterWorld.IsAlive(host, incarnation))
        {
            return OwnershipVerdict.Unreachable;
        }
        return world.Faults.Strikes(FaultKind.ArbiterUnreachable, host) ? OwnershipVerdict.Unreachable : Judge(claim, create: true, starts: true);
    }

    /// <inheritdoc/>
    public bool HasEnded(string vm, ulong generation)
    {
        RequireStorage();
        return world.Records.HasEnded(generation);
    }

    /// <inheritdoc/>
    public void NoteEnd(string vm, ulong generation)
    {
        RequireStorage();
        world.Records.NoteEnd(generation);
    }

    private void RequireStorage()
    {
        if (world.Faults.Strikes(FaultKind.ArbiterUnreachable, host))
        {
            throw new IOException("The arbiter's storage does not answer.");
        }
    }

    /// <summary>A question that was sent reaches the storage even if whoever asked dies meanwhile.</summary>
    private void Ask(Func<OwnershipVerdict> question, Action<OwnershipVerdict> answer)
    {
        if (!ClusterWorld.IsAlive(host, incarnation))
        {
            return;
        }
        Akka.Actor.ActorSystem system = host.System!;
        if (world.Faults.Strikes(FaultKind.ArbiterUnreachable, host))
        {
            // It says so at once, says so late, or the question is stuck for ever.
            int how = world.Random.Below(3);
            if (how < 2)
            {
                world.Simulation.Schedule(system, how == 0 ? LatencyMost : GivesUpAfter, () => answer(OwnershipVerdict.Unreachable));
            }
            return;
        }
        TimeSpan slow = world.Faults.Delay(FaultKind.ArbiterSlow, host);
        // Before the storage has it, and on the way back: the two halves are where a crash makes a difference.
        TimeSpan there = world.Random.Between(LatencyLeast, LatencyMost);
        TimeSpan back = world.Random.Between(LatencyLeast, LatencyMost);
        if (world.Random.Below(2) == 0)
        {
            there += slow;
        }
        else
        {
            back += slow;
        }
        world.Simulation.Schedule(there, () =>
        {
            OwnershipVerdict verdict = question();
            if (ClusterWorld.IsAlive(host, incarnation))
            {
                world.Simulation.Schedule(system, back, () => answer(verdict));
            }
        });
    }

    private OwnershipVerdict Judge(OwnershipClaim claim, bool create, bool starts = false)
    {
        OwnershipRecord? before = world.Records.Newest;
        if (create && world.Records.TryCreate(claim, world.WallClock(host)))
        {
            world.RecordCreated(host, claim, before, starts);
        }
        OwnershipVerdict verdict = OwnershipRules.Judge(world.Records.Newest, claim);
        return create ? world.Mutant.Verdict(verdict) : verdict;
    }
}
