using System.Collections.Immutable;
using System.Globalization;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.DeterministicSim.Contract;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;
using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Invariants that are looked at whenever something happens.</summary>
internal sealed class ClusterChecks(ClusterWorld world)
{
    /// <summary>A replica may exceed a limit by what one quantum of its machine makes.</summary>
    private static readonly TimeSpan TellingLag = TimeSpan.FromMilliseconds(30);

    /// <summary>Three proofs, each of which may be late or get lost on the way.</summary>
    private static readonly TimeSpan PromiseMost = TimeSpan.FromSeconds(6);

    /// <summary>
    /// Offers of copies in a second: a node waits half a second before it offers again, and longer each time, an offer without an answer is repeated twice a second, and
    /// an operator may be impatient.
    /// </summary>
    private const int OffersPerSecondMost = 8;

    /// <summary>How long a primary may have been told to stop for its backup's lag, and go on.</summary>
    private static readonly TimeSpan SlackLag = TimeSpan.FromMilliseconds(100);

    private const ulong SlackInstructions = 20_000;
    private const int SlackEntries = 4096;
    private const long SlackBytes = 4 << 20;

    private readonly SortedDictionary<ulong, (string Host, long Incarnation)> _issued = [];
    private readonly SortedSet<ulong> _durable = [];
    private readonly Queue<TimeSpan> _offers = new();
    private readonly SortedDictionary<string, (TrackedReplica Replica, ulong Icount)> _tooFarAhead = new(StringComparer.Ordinal);
    private TimeSpan? _endedAt;

    /// <summary>The output rule, at the boundary to the outside.</summary>
    public OutputRule Outputs { get; } = new();

    /// <summary>Disk requests that a replica issued again for another.</summary>
    public long Reissued { get; private set; }

    /// <summary>Acts of replicas on disk and network.</summary>
    public long Acts { get; private set; }

    /// <summary>Hosts whose replica has halted because it had lost the VM.</summary>
    public SortedSet<string> Halted { get; } = new(StringComparer.Ordinal);

    /// <summary>The machine has ended in order.</summary>
    public bool Ended => _endedAt is not null;

    /// <summary>Since when.</summary>
    public TimeSpan EndedFor => _endedAt is { } at ? world.Now - at : TimeSpan.Zero;

    /// <summary>The guest begins anew: so do the numbers of its requests.</summary>
    public void Restart()
    {
        _issued.Clear();
        _durable.Clear();
        _endedAt = null;
    }

    /// <summary>Whether another replica has issued this very request.</summary>
    public bool WasIssuedElsewhere(SimulatedHost host, DiskRequest request) =>
        _issued.TryGetValue(request.Id, out var before) && before != (host.Name, host.Incarnation);

    /// <summary>A replica issues a request to a disk.</summary>
    public void DiskAct(SimulatedHost host, long incarnation, DiskRequest request)
    {
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Outside, string.Create(CultureInfo.InvariantCulture, $"disk {request.Kind} {request.Id}, sector {request.Sector}"));
        }
        world.Simulation.Trace.Add($"disk {host.Name} {request.Kind} {request.Id} {request.Sector}");
        if (!world.HasOwnDisks)
        {
            Act(host, incarnation, $"{request.Kind} {request.Id} of sector {request.Sector}");
            if (_issued.TryGetValue(request.Id, out var before) && before != (host.Name, incarnation))
            {
                Reissued++;
            }
            _issued[request.Id] = (host.Name, incarnation);
            RequireBackup(host, incarnation, outputs => outputs.DiskActs(request.Id), $"{request.Kind} {request.Id} of the disk");
        }
        if (world.Demanded is { } demanded)
        {
            if (request.Id < DiskBlocks.FirstRequestId)
            {
                demanded.Issued(host, request);
            }
        }
        else if (request.Kind == DiskRequestKind.Write && request.Id < DiskBlocks.FirstRequestId && !request.Data.AsSpan().SequenceEqual(Record(request.Sector)))
        {
            world.Fail("disk-content", $"{host.Name} writes to sector {request.Sector} what one failure-free guest does not");
        }
    }

    /// <summary>A write has reached the storage.</summary>
    public void DiskWritten(DiskRequest request) =>
        world.Simulation.Trace.Add($"written {request.Id} {request.Sector}");

    /// <summary>A replica sends frames.</summary>
    public void NetAct(SimulatedHost host, long incarnation, ImmutableArray<ImmutableArray<byte>> frames)
    {
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Outside, $"sends {frames.Length} frames");
        }
        Act(host, incarnation, $"{frames.Length} frames");
        foreach (ImmutableArray<byte> frame in frames)
        {
            RequireBackup(host, incarnation, outputs => outputs.CardSends(frame.AsSpan()), "a frame");
        }
    }

    /// <summary>A replica's console shows bytes.</summary>
    public void ConsoleAct(SimulatedHost host, long incarnation, ulong end) =>
        RequireBackup(host, incarnation, outputs => outputs.ConsoleShows(end), $"console output before byte {end}");

    /// <summary>The console's reader has a whole line.</summary>
    public void ConsoleLine(SimulatedHost host, string line)
    {
        if (world.Demanded is { } demanded)
        {
            demanded.Line(host, line);
            return;
        }
        string[] words = line.Split(' ');
        if (words is ["journal", var number, _]
            && ulong.TryParse(number, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong record)
            && CheckDurable(host, record))
        {
            _durable.Add(record);
        }
    }

    /// <summary>A replica goes live with its host's own copy of the disk: what the guest has called durable, wherever it ran, must be there.</summary>
    public void GoesLiveOn(SimulatedHost host)
    {
        world.Demanded?.GoesLiveOn(host);
        foreach (ulong record in _durable)
        {
            if (!CheckDurable(host, record))
            {
                return;
            }
        }
    }

    private bool CheckDurable(SimulatedHost host, ulong record)
    {
        bool there = world.DiskOf(host).Sector(record).SequenceEqual(Record(record));
        if (!there)
        {
            world.Fail("durability", $"the guest has said that record {record} is durable, and it is not on the disk of {host.Name}");
        }
        return there;
    }

    /// <summary>A host makes a replica.</summary>
    public void ReplicaBegins(SimulatedHost host)
    {
        if (host.Replicas.Exists(other => other.Exists))
        {
            world.Fail("one-replica", $"{host.Name} makes a replica of the VM, and has one: {host.Replicas.FindLast(other => other.Exists)!.Status.Role}");
        }
    }

    /// <summary>A primary offers a copy.</summary>
    public void Offered(SimulatedHost host)
    {
        _offers.Enqueue(world.Now);
        while (world.Now - _offers.Peek() > TimeSpan.FromSeconds(1))
        {
            _offers.Dequeue();
        }
        if (_offers.Count > OffersPerSecondMost)
        {
            world.Fail("bounded", $"{host.Name} has made the last of {_offers.Count} offers of a copy within a second, and {OffersPerSecondMost} are the most");
        }
    }

    public void ReplicaEnded(TrackedReplica replica, ReplicaEnd end)
    {
        if (world.KeepsTimeline)
        {
            world.Tell(replica.Host.Name, TimelineKind.Role, $"ends: {end.Reason}: {end.What}");
        }
        switch (end.Reason)
        {
            case HaltReason.ArbiterLost or HaltReason.OwnershipLost or HaltReason.HandedOver:
                Halted.Add(replica.Host.Name);
                break;
            // The backup of a machine that has ended may be late with it.
            case HaltReason.MachineEnded when end.Generation >= (world.Records.Newest?.Generation ?? 0):
                _endedAt ??= world.Now;
                break;
            case HaltReason.Diverged when !world.Digests.Explains(replica):
                world.Fail("digests", $"the replica on {replica.Host.Name} left its primary's execution: {end.What}");
                break;
            default:
                break;
        }
    }

    /// <summary>Looked at now and then.</summary>
    public void Sample()
    {
        foreach (SimulatedHost host in world.Hosts)
        {
            if (host.Replica is not { Status: var status })
            {
                continue;
            }
            ProtectionOptions limits = world.Protection;
            if (status.LogEntries > limits.LogEntriesMax + SlackEntries || status.LogBytes > limits.LogBytesMax + SlackBytes
                || status.OutputBytes > limits.OutputBytesMax + SlackBytes || status.HeldOutputs > limits.OutputsMax + SlackEntries)
            {
                world.Fail("bounded", $"{host.Name} keeps {status.LogEntries} log entries of {status.LogBytes} bytes and {status.HeldOutputs} outputs of {status.OutputBytes} bytes");
            }
            if (status is { Role: ReplicaRole.ProtectedPrimary, Protected: true } && world.Backup is { } backup && world.Faults.LastsFor(FaultKind.DiskNotThere, backup.Host) is { } lasts && lasts > PromiseMost)
            {
                world.Fail("promise", string.Create(CultureInfo.InvariantCulture, $"{host.Name} says that the VM is protected, and {backup.Host.Name} has not had its disk for {lasts.TotalSeconds:F1} s"));
            }
            CheckLag(host.Replica, status);
            if (status.Role == ReplicaRole.ProtectedPrimary && status.Lag > TellingLag && world.Faults.IsOn(FaultKind.BackupSlow, null))
            {
                world.Effect(FaultKind.BackupSlow, host.Name);
            }
        }
        world.Digests.Check();
    }

    /// <summary>A machine whose backup is too far behind stands still until it is not.</summary>
    private void CheckLag(TrackedReplica replica, ReplicaStatus status)
    {
        string host = replica.Host.Name;
        if (status.Role != ReplicaRole.ProtectedPrimary || status.Lag <= world.Protection.LagStop + SlackLag)
        {
            _tooFarAhead.Remove(host);
        }
        else if (!_tooFarAhead.TryGetValue(host, out var before) || before.Replica != replica)
        {
            _tooFarAhead[host] = (replica, status.Icount);
        }
        else if (status.Icount > before.Icount + SlackInstructions)
        {
            world.Fail("bounded", string.Create(CultureInfo.InvariantCulture,
                $"the machine on {host} has gone on for {status.Icount - before.Icount} instructions, and its backup is {status.Lag.TotalMilliseconds:0} ms behind"));
        }
    }

    /// <summary>The record that one failure-free guest has in a sector.</summary>
    private ReadOnlySpan<byte> Record(ulong sector) => GuestReference.Record(world.Outside.JournalSeed, (int)sector);

    private void RequireBackup(SimulatedHost host, long incarnation, Func<OutputMarks, string?> judge, string what)
    {
        if (host.Replicas.LastOrDefault(replica => replica.Incarnation == incarnation) is { } replica && judge(replica.Outputs) is { } broken)
        {
            world.Fail("output-rule", $"{what} leaves {host.Name} too early: it is {broken}");
        }
    }

    private void Act(SimulatedHost host, long incarnation, string what)
    {
        Acts++;
        host.Replicas.FindLast(replica => replica.Incarnation == incarnation)?.Steps.Seen($"acts on the outside: {what}");
        if (world.Records.Newest is not { } owner || !owner.Names(new ReplicaIdentity(ClusterWorld.Vm, host.Name, incarnation)))
        {
            world.Fail("one-actor", $"{host.Name} (process {incarnation}) acts on the outside ({what}), and the VM belongs to {world.Records.Newest}");
        }
    }
}
