using Akka.Actor;

namespace FtAkka.Wire.Simulated;

/// <summary>How one direction between two hosts treats frames.</summary>
/// <param name="DelayLeast">Shortest time under way.</param>
/// <param name="DelayMost">Longest time under way.</param>
/// <param name="LossPerMillion">Frames lost.</param>
/// <param name="DuplicationPerMillion">Frames that arrive twice.</param>
/// <param name="Reorder">False: frames of one direction overtake each other never, as over TCP. True: each takes its own time.</param>
public sealed record LinkQuality(
    TimeSpan DelayLeast, TimeSpan DelayMost, int LossPerMillion = 0, int DuplicationPerMillion = 0, bool Reorder = false)
{
    /// <summary>Frames that are changed on their way, which ends the connection: they and what is under way behind them are lost.</summary>
    public int CorruptionPerMillion { get; init; }

    /// <summary>Frames whose time under way has a long tail: each doubling beyond <see cref="DelayMost"/> is half as likely as the one before.</summary>
    public int TailPerMillion { get; init; }

    /// <summary>Longest time under way of a frame in the tail.</summary>
    public TimeSpan TailMost { get; init; }

    /// <summary>A local network: 0.1 to 1 millisecond, nothing lost.</summary>
    public static LinkQuality Lan { get; } = new(TimeSpan.FromMicroseconds(100), TimeSpan.FromMilliseconds(1));
}

/// <summary>What happened to a frame, for a trace.</summary>
public enum FrameFate
{
    /// <summary>Handed to the receiver.</summary>
    Delivered,

    /// <summary>Lost by chance.</summary>
    Lost,

    /// <summary>Will arrive a second time.</summary>
    Duplicated,

    /// <summary>Dropped by a partition, at sending or on arrival.</summary>
    Partitioned,

    /// <summary>Addressed to, or sent by, a process that is no longer there.</summary>
    OldIncarnation,

    /// <summary>Nobody listens at the address.</summary>
    NoListener,

    /// <summary>Refused by the receiver.</summary>
    Refused,

    /// <summary>Changed under way: the connection ends with it.</summary>
    Corrupted,

    /// <summary>Overtook one sent before it.</summary>
    Overtook,

    /// <summary>Took longer than the link's ordinary time.</summary>
    Late,
}

/// <summary>Told of everything that happens to frames.</summary>
public interface INetworkObserver
{
    /// <summary>Something happened to a frame from one host to another.</summary>
    void Frame(FrameFate fate, string from, string to, ReadOnlySpan<byte> envelope);
}

/// <summary>
/// A network in one process and in virtual time: seeded delay, loss, duplication, reordering, one-way and two-way partitions. Hosts are
/// named by the host part of their address. Used on one thread; every choice comes from the seed and the order of calls.
/// </summary>
public sealed class SimulatedNetwork(ulong seed, ISimulatedTime time, INetworkObserver? observer = null)
{
    private readonly SimulatedRandom _random = SimulatedRandom.Stream(seed, "network");
    private readonly SortedDictionary<string, SimulatedWire> _listeners = new(StringComparer.Ordinal);
    private readonly SortedDictionary<(string From, string To), LinkQuality> _links = [];
    private readonly SortedSet<(string From, string To)> _cut = [];
    private readonly SortedDictionary<(string From, string To), TimeSpan> _lastArrival = [];
    private readonly SortedDictionary<(string From, string To), long> _connections = [];
    private readonly SortedDictionary<string, Queue<Action>> _held = new(StringComparer.Ordinal);
    private long _lastIncarnation;

    /// <summary>Quality of every direction that has none of its own.</summary>
    public LinkQuality DefaultQuality { get; set; } = LinkQuality.Lan;

    /// <summary>Sets the quality of one direction.</summary>
    public void SetQuality(string from, string to, LinkQuality quality) => _links[(Named(from), Named(to))] = quality;

    /// <summary>Cuts one direction: nothing sent arrives, and what is under way is lost as well.</summary>
    public void CutOneWay(string from, string to) => _cut.Add((Named(from), Named(to)));

    /// <summary>Mends one direction.</summary>
    public void MendOneWay(string from, string to) => _cut.Remove((Named(from), Named(to)));

    /// <summary>Cuts both directions between every host of one group and every host of the other.</summary>
    public void Partition(IEnumerable<string> group, IEnumerable<string> others)
    {
        ArgumentNullException.ThrowIfNull(group);
        var right = others.ToArray();
        foreach (var a in group)
        {
            foreach (var b in right)
            {
                CutOneWay(a, b);
                CutOneWay(b, a);
            }
        }
    }

    /// <summary>Mends every cut.</summary>
    public void Heal() => _cut.Clear();

    /// <summary>A host's process stands still: what arrives waits, in order, until <see cref="Release"/>.</summary>
    public void Hold(string host) => _held.TryAdd(Named(host), new Queue<Action>());

    /// <summary>A host's process goes on, and finds what arrived meanwhile: before anything else it does, or behind it, by chance.</summary>
    public void Release(string host)
    {
        if (!_held.Remove(Named(host), out var arrivals))
        {
            return;
        }

        bool first = _random.Below(2) == 0;
        foreach (var arrive in arrivals)
        {
            if (first)
            {
                arrive();
            }
            else
            {
                time.Schedule(TimeSpan.Zero, arrive);
            }
        }
    }

    /// <summary>
    /// Stops a host as a power cut does: it neither sends nor receives any more, though its actors may still run until they are
    /// stopped. The next system at its address is another incarnation.
    /// </summary>
    public void Crash(string host)
    {
        host = Named(host);
        _held.Remove(host);
        if (_listeners.Remove(host, out var wire))
        {
            wire.Disconnect();
        }
    }

    /// <summary>Makes the wire of a system; <paramref name="context"/> gives the host's name and port.</summary>
    public IWire Join(WireContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return new SimulatedWire(this, context);
    }

    /// <summary>A host's name as it stands in addresses, which know small letters only.</summary>
    internal static string Named(string host)
    {
        ArgumentNullException.ThrowIfNull(host);
        return host.ToLowerInvariant();
    }

    internal long Listen(SimulatedWire wire)
    {
        if (!_listeners.TryAdd(wire.Host, wire))
        {
            throw new InvalidOperationException($"A system listens at the simulated host '{wire.Host}' already.");
        }

        return ++_lastIncarnation;
    }

    internal void Leave(SimulatedWire wire)
    {
        if (_listeners.TryGetValue(wire.Host, out var current) && current == wire)
        {
            _listeners.Remove(wire.Host);
        }
    }

    internal void Send(SimulatedWire from, Address destination, ReadOnlySpan<byte> envelope)
    {
        var link = (From: from.Host, To: destination.Host);
        // A frame is meant for the process that listens now; if it is gone on arrival, its successor must not get the frame.
        var target = _listeners.GetValueOrDefault(link.To);
        if (_cut.Contains(link))
        {
            Observe(FrameFate.Partitioned, link, envelope);
            return;
        }

        if (target is null)
        {
            Observe(FrameFate.NoListener, link, envelope);
            return;
        }

        var quality = _links.GetValueOrDefault(link) ?? DefaultQuality;
        if (_random.Chance(quality.LossPerMillion))
        {
            Observe(FrameFate.Lost, link, envelope);
            return;
        }

        var copy = envelope.ToArray();
        Schedule(link, quality, from, target, copy);
        if (_random.Chance(quality.DuplicationPerMillion))
        {
            Observe(FrameFate.Duplicated, link, envelope);
            Schedule(link, quality, from, target, copy);
        }
    }

    private void Schedule((string From, string To) link, LinkQuality quality, SimulatedWire from, SimulatedWire target, byte[] envelope)
    {
        var arrival = time.Now + UnderWay(link, quality, envelope);
        var last = _lastArrival.GetValueOrDefault(link);
        if (arrival < last)
        {
            if (quality.Reorder)
            {
                Observe(FrameFate.Overtook, link, envelope);
            }
            else
            {
                arrival = last;
            }
        }

        _lastArrival[link] = arrival > last ? arrival : last;
        long connection = _connections.GetValueOrDefault(link);
        bool corrupted = _random.Chance(quality.CorruptionPerMillion);
        time.Schedule(arrival - time.Now, () =>
        {
            if (_held.TryGetValue(link.To, out var held))
            {
                held.Enqueue(() => Arrive(link, from, target, envelope, connection, corrupted));
            }
            else
            {
                Arrive(link, from, target, envelope, connection, corrupted);
            }
        });
    }

    private TimeSpan UnderWay((string From, string To) link, LinkQuality quality, byte[] envelope)
    {
        var delay = _random.Between(quality.DelayLeast, quality.DelayMost);
        if (!_random.Chance(quality.TailPerMillion))
        {
            return delay;
        }

        var most = quality.DelayMost;
        do
        {
            most += most;
        }
        while (most < quality.TailMost && _random.Below(2) == 0);
        Observe(FrameFate.Late, link, envelope);
        return _random.Between(quality.DelayMost, most < quality.TailMost ? most : quality.TailMost);
    }

    private void Arrive((string From, string To) link, SimulatedWire from, SimulatedWire target, byte[] envelope, long connection, bool corrupted)
    {
        if (_cut.Contains(link))
        {
            Observe(FrameFate.Partitioned, link, envelope);
        }
        else if (connection != _connections.GetValueOrDefault(link))
        {
            Observe(FrameFate.Lost, link, envelope);
        }
        else if (corrupted)
        {
            _connections[link] = connection + 1;
            Observe(FrameFate.Corrupted, link, envelope);
        }
        else if (!target.IsListening || (_listeners.GetValueOrDefault(link.From) is { } now && now != from))
        {
            Observe(FrameFate.OldIncarnation, link, envelope);
        }
        else
        {
            Observe(FrameFate.Delivered, link, envelope);
            if (target.Deliver(from, envelope) != WireRefusal.None)
            {
                Observe(FrameFate.Refused, link, envelope);
            }
        }
    }

    private void Observe(FrameFate fate, (string From, string To) link, ReadOnlySpan<byte> envelope) =>
        observer?.Frame(fate, link.From, link.To, envelope);
}
