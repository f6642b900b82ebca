using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Replication.Tests.Protection.Simulated;

/// <summary>
/// Two hosts, a network between them, a shared disk and an arbiter, under virtual time, from one seed. Time is in ticks of 100 ns.
/// </summary>
internal sealed class SimulatedPair
{
    private const long Millisecond = 10_000;
    private const long FaultsEnd = 3_000 * Millisecond;
    private const int StepsMax = 200_000;
    private const long End = 6_500 * Millisecond;

    private readonly PriorityQueue<(SimulatedNode? Node, long Incarnation, Action Action), (long Time, long Order)> _events = new();
    private readonly SimulatedNode[] _nodes;
    private readonly double _loss, _tail;
    private readonly bool _powerOff;
    private readonly long[] _lastArrival = [0, 0];
    private long _order;
    private long _partitionUntil;
    private int _partitionSides;
    private long _arbiterAwayUntil;
    private bool _mustSurvive = true;

    public SimulatedPair(int seed, Mutation mutation, SortedDictionary<string, int> counts)
    {
        (Seed, Mutation, Counts) = (seed, mutation, counts);
        Random = new Random(seed);
        Outside = new SimulatedOutside(mutation);
        _nodes = [new SimulatedNode("A", this), new SimulatedNode("B", this)];
        foreach (var node in _nodes)
            node.Clock = (Random.Next(1_000_000), Random.Next(-9, 10));
        _loss = Random.Next(3) == 0 ? Random.NextDouble() * 0.1 : 0;
        _tail = Random.Next(2) == 0 ? Random.NextDouble() * 0.02 : 0;
        _powerOff = Random.Next(12) == 0;
        ReplayMax = Random.Next(4) == 0 ? 4 : 64;
        bool small = Random.Next(4) == 0;
        Options = new ProtectionOptions
        {
            OutputsMax = small ? 24 : 512,
            LogEntriesMax = small ? 40 : 4096,
            BatchBytesMax = small ? 200 : 64 << 10,
        };
    }

    public int Seed { get; }

    public Mutation Mutation { get; }

    public Random Random { get; }

    public SimulatedOutside Outside { get; }

    public SortedDictionary<string, int> Counts { get; }

    public ProtectionOptions Options { get; }

    public CloneOptions CloneOptions { get; } = new() { ChunkBytes = 120, WindowChunks = 4, RoundsMax = 4, ResendAfter = TimeSpan.FromMilliseconds(60), SilenceMax = TimeSpan.FromMilliseconds(700) };

    public Dictionary<ulong, (FakeMachine Machine, int History, KeyValuePair<ulong, Machine.Virtio.Block.DiskRequest>[] Pending, bool[] IsOutput)> Snapshots { get; } = [];

    public long Time { get; private set; }

    /// <summary>Entries a backup replays in a quantum, at most.</summary>
    public int ReplayMax { get; }

    public bool Faulty => Time < FaultsEnd;

    public bool MachineEnded { get; set; }

    public Action<string>? Trace { get; init; }

    public int Steps { get; private set; }

    public void Count(string what) => Counts[what] = Counts.GetValueOrDefault(what) + 1;

    public SimulatedNode Other(SimulatedNode node) => node == _nodes[0] ? _nodes[1] : _nodes[0];

    /// <summary>Throws <see cref="InvariantViolation"/>.</summary>
    public void Run()
    {
        Outside.Trace = Trace;
        _nodes[0].StartSolo();
        foreach (var node in _nodes)
            EveryQuantum(node);
        ScheduleWorld(20 * Millisecond, Operate);
        ScheduleWorld(Random.Next(100, 600) * Millisecond, Fault);
        while (_events.TryDequeue(out var next, out var at) && at.Time <= End)
        {
            Time = at.Time;
            if (++Steps > StepsMax)
                throw new InvariantViolation($"{StepsMax} events, and virtual time is {Time / Millisecond} ms: somebody talks without end");
            if (next.Node is { } node)
            {
                if (!node.Up || node.Incarnation != next.Incarnation)
                    continue;
                if (node.PausedUntil > Time)
                {
                    _events.Enqueue(next, (node.PausedUntil, at.Order));
                    continue;
                }
            }
            next.Action();
        }
        CheckEnd();
    }

    private void EveryQuantum(SimulatedNode node) => Schedule(node, 10 * Millisecond, () =>
    {
        node.Quantum();
        EveryQuantum(node);
    });

    public void Schedule(SimulatedNode node, long delay, Action action) =>
        _events.Enqueue((node, node.Incarnation, action), (Time + delay, _order++));

    private void ScheduleWorld(long delay, Action action) => _events.Enqueue((null, 0, action), (Time + delay, _order++));

    public void Send(SimulatedNode from, IChannelMessage message)
    {
        var to = Other(from);
        bool cut = _partitionUntil > Time && (_partitionSides & (from == _nodes[0] ? 1 : 2)) != 0;
        if (cut || (Faulty && Random.NextDouble() < _loss))
            return;
        if (Random.Next(32) == 0)
            message = (IChannelMessage)WireMessageCodec.Decode(WireMessageCodec.ManifestOf(message), WireMessageCodec.Encode(message)).Message!;
        Deliver(to, message);
        if (Faulty && Random.Next(50) == 0)
            Deliver(to, message);
    }

    /// <summary>Messages of a direction mostly keep their order, as on a connection; now and then one is late, and passed by others.</summary>
    private void Deliver(SimulatedNode to, IChannelMessage message)
    {
        int side = to == _nodes[0] ? 0 : 1;
        long delay = Random.Next(500, 15_000);
        if (Faulty && (Random.NextDouble() < _tail || Random.Next(100) == 0))
            delay += Random.Next(100_000, _tail > 0 ? 6_000_000 : 200_000);
        else
            _lastArrival[side] = Math.Max(_lastArrival[side] + 1, Time + delay);
        Schedule(to, delay > 15_000 ? delay : _lastArrival[side] - Time, () => to.Receive(message));
    }

    public void Ask(SimulatedNode node, ulong attempt, Func<OwnershipVerdict> question)
    {
        long incarnation = node.Incarnation;
        int there = Random.Next(5_000, 100_000);
        int back = Random.Next(5_000, Random.Next(8) == 0 && Faulty ? 5_000_000 : 100_000);
        // Storage executes what reached it, even if whoever asked is dead by then.
        ScheduleWorld(there, () =>
        {
            bool away = _arbiterAwayUntil > Time;
            var verdict = away && Random.Next(3) > 0 ? OwnershipVerdict.Unreachable : question();
            // Won by a host that has died meanwhile: it had suspected its backup, so this is the second failure.
            if (verdict == OwnershipVerdict.Owned && (!node.Up || node.Incarnation != incarnation))
                _mustSurvive = false;
            if (away)
                verdict = OwnershipVerdict.Unreachable;
            if (node.Up)
                Schedule(node, back, () => node.Step(new ReplicaInput.ArbiterAnswered(attempt, verdict)));
        });
    }

    /// <summary>Operator and cluster: protect what is not, restart what is down, and now and then a planned operation.</summary>
    private void Operate()
    {
        foreach (var node in _nodes)
        {
            if (node.Replica?.Role == ReplicaRole.Solo && node.PausedUntil <= Time && Other(node).Up && Other(node).Replica is null && Random.Next(3) == 0)
                node.Step(new ReplicaInput.Protect(Other(node).Name));
            if (node.IsLive && node.PausedUntil <= Time && Faulty)
            {
                if (Random.Next(150) == 0)
                    node.Step(new ReplicaInput.Unprotect());
                if (Random.Next(60) == 0)
                    node.Step(new ReplicaInput.PlannedFailover());
                if (_powerOff && Random.Next(100) == 0)
                    node.PowerOff();
            }
        }
        ScheduleWorld(20 * Millisecond, Operate);
    }

    private void Fault()
    {
        if (!Faulty)
            return;
        var node = _nodes[Random.Next(2)];
        switch (Random.Next(7))
        {
            case 0 or 1 when node.Up && (HasHeir(node) || Random.Next(8) == 0):
                CrashNode(node);
                break;
            case 2 when _nodes.FirstOrDefault(one => one.IsLive) is { } live && (HasHeir(live) || Random.Next(8) == 0):
                // Kill the live one: the story of the paper.
                CrashNode(live);
                break;
            case 6:
                node.PausedUntil = Time + (Random.Next(20, 1200) * Millisecond);
                Count("fault pause");
                break;
            case 3:
                _partitionUntil = Time + (Random.Next(20, 900) * Millisecond);
                _partitionSides = Random.Next(1, 4);
                Count("fault partition");
                break;
            case 4:
                _arbiterAwayUntil = Time + (Random.Next(50, 900) * Millisecond);
                Count("fault arbiter");
                break;
            default:
                // Two at once: the pair is cut, and one side pauses.
                _partitionUntil = Time + (Random.Next(200, 900) * Millisecond);
                _partitionSides = 3;
                node.PausedUntil = Time + (Random.Next(20, 900) * Millisecond);
                Count("fault partition and pause");
                break;
        }
        ScheduleWorld(Random.Next(100, 900) * Millisecond, Fault);
    }

    /// <summary>Most crashes strike when somebody can go on, since a VM that is lost tests nothing more.</summary>
    private bool HasHeir(SimulatedNode node) =>
        !node.IsLive ? Other(node).IsLive : Other(node).Replica is { Role: ReplicaRole.Backup or ReplicaRole.GoingLive };

    private void CrashNode(SimulatedNode node)
    {
        var role = node.Replica?.Role;
        Count($"crash {role?.ToString() ?? "empty"}");
        var other = Other(node);
        bool owner = Outside.Newest!.Node == node.Name && Outside.Newest.Incarnation == node.Incarnation;
        node.Crash();
        // Who must survive: the owner, or a backup that may take over from it.
        bool heir = other.Replica is { Role: ReplicaRole.Backup or ReplicaRole.GoingLive } && other.Replica.Generation == Outside.Newest.Generation;
        bool otherOwns = Outside.Newest.Node == other.Name && Outside.Newest.Incarnation == other.Incarnation && other.Up;
        if (owner ? !heir : !otherOwns)
            _mustSurvive = false;
        ScheduleWorld(Random.Next(50, 500) * Millisecond, () =>
        {
            node.Restart();
            EveryQuantum(node);
        });
    }

    private void CheckEnd()
    {
        var live = Array.FindAll(_nodes, node => node.IsLive);
        if (MachineEnded)
        {
            Count("end: switched off");
            return;
        }
        if (live.Length == 0)
        {
            if (_mustSurvive)
                throw new InvariantViolation($"nobody is live at the end; {Outside.Newest}, A {_nodes[0].Replica?.Role} {_nodes[0].LastHalt}, B {_nodes[1].Replica?.Role} {_nodes[1].LastHalt}");
            Count("end: lost to two failures");
            return;
        }
        var survivor = live.SingleOrDefault(node => node.Replica!.Fence == Instant.Never || node.Replica.Role == ReplicaRole.ProtectedPrimary)
            ?? throw new InvariantViolation("more than one replica is live, or none may act");
        if (!survivor.Replica!.Status(survivor.Now).Protected)
            throw new InvariantViolation($"not protected again at the end: {survivor.Replica.Status(survivor.Now)}");
        Outside.CheckSurvivor(survivor.Machine!);
        Outside.CheckEnd(survivor.Machine!, survivor.Replica.Status(survivor.Now).LastReleased, [.. survivor.IsOutput]);
        if (survivor.Machine!.Pending.Count > 64)
            throw new InvariantViolation($"{survivor.Machine.Pending.Count} disk requests are never answered");
        Count("end: live and protected");
        Count($"generations {Math.Min(9, Outside.Newest!.Generation)}");
        Count(Outside.Repeated > 0 ? "outputs repeated" : "no output repeated");
    }
}
