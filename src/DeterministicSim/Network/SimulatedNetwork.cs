using Akka.Actor;

namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// A network in one process and in virtual time: connections that last until somebody ends them or falls silent, seeded delay, loss, duplication,
/// reordering, one-way and two-way partitions. Hosts are named by the host part of their address. Used on one thread; every choice comes from the
/// seed and the order of calls. It calls nobody back from within a call but <see cref="Release"/>.
/// </summary>
public sealed class SimulatedNetwork(ulong seed, ISimulatedTime time, INetworkObserver? observer = null)
{
    private readonly Dictionary<Address, SimulatedTransport> _listeners = [];
    private readonly Dictionary<(string From, string To), SimulatedLink> _links = [];
    private readonly List<SimulatedLink> _linksInOrder = [];
    private readonly HashSet<Address> _known = [];
    private readonly HashSet<Address> _silent = [];

    /// <summary>The dialler's end of every connection that has an end which lasts, in the order in which they were made.</summary>
    private readonly List<SimulatedAssociation> _connections = [];
    private long _holds;

    /// <summary>Quality of every direction that has none of its own.</summary>
    public LinkQuality DefaultQuality { get; set; } = LinkQuality.Lan;

    /// <summary>How many partitions in a million lose the messages that meet them; the others only delay them, as TCP does.</summary>
    public int CutLosesPerMillion { get; set; } = 500_000;

    /// <summary>How many crashes in a million leave a host that does not answer at all until it starts again; the others, one that refuses.</summary>
    public int CrashIsSilentPerMillion { get; set; } = 500_000;

    /// <summary>Longest time from the end of a partition until what waited is sent again.</summary>
    public TimeSpan ResendMost { get; set; } = TimeSpan.FromMilliseconds(200);

    internal SimulatedRandom Random { get; } = SimulatedRandom.Stream(seed, "network");

    internal ISimulatedTime Time { get; } = time;

    internal INetworkObserver? Observer { get; } = observer;

    /// <summary>Sets the quality of one direction.</summary>
    public void SetQuality(string from, string to, LinkQuality quality) => Link(from, to).Quality = quality;

    /// <summary>Cuts one direction: nothing sent arrives before it is mended, what is under way included.</summary>
    public void CutOneWay(string from, string to) => Link(from, to).Cut();

    /// <summary>Mends one direction.</summary>
    public void MendOneWay(string from, string to) => Link(from, to).Mend();

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
    public void Heal()
    {
        foreach (var link in _linksInOrder)
        {
            link.Mend();
        }
    }

    /// <summary>
    /// Ends every connection between two hosts for the one that learns of it. The other goes on until it sends something, or has heard nothing for
    /// long.
    /// </summary>
    public void ResetOneSide(string learns, string other)
    {
        (learns, other) = (Named(learns), Named(other));
        foreach (var dialler in _connections.ToArray())
        {
            var end = dialler.Transport.Host == learns ? dialler : dialler.Peer;
            if (end.Transport.Host == learns && end.Peer.Transport.Host == other && !end.HasEnded)
            {
                Observer?.Connection(ConnectionEvent.ResetOnOneSide, learns, other);
                Time.Schedule(TimeSpan.Zero, end.End);
                Watch(end.Peer, () => true);
            }
        }
    }

    /// <summary>A process stands still: what arrives for it waits, in order, until <see cref="Release"/>.</summary>
    public void Hold(Address process)
    {
        if (_listeners.TryGetValue(Plain(process), out var transport))
        {
            transport.BeginHolding();
            long hold = ++_holds;
            transport.HoldNumber = hold;
            ForEachOf(transport, end => Watch(end.Peer, () => transport.Holds && transport.HoldNumber == hold));
        }
    }

    /// <summary>A process goes on, and finds what arrived meanwhile: before anything else it does, or behind it, by chance.</summary>
    public void Release(Address process)
    {
        if (!_listeners.TryGetValue(Plain(process), out var transport) || transport.EndHolding() is not { } arrivals)
        {
            return;
        }

        bool first = Random.Below(2) == 0;
        foreach (var arrive in arrivals)
        {
            if (first)
            {
                arrive();
            }
            else
            {
                Time.Schedule(TimeSpan.Zero, arrive);
            }
        }
    }

    /// <summary>
    /// Stops a process as a power cut does: it neither sends nor receives any more, though its actors may still run until they are stopped. Others
    /// learn by what they send, or by silence. The next system at its address is another incarnation.
    /// </summary>
    public void Crash(Address process)
    {
        if (!_listeners.Remove(Plain(process), out var transport))
        {
            return;
        }

        transport.Die();
        if (Random.Chance(CrashIsSilentPerMillion))
        {
            _silent.Add(transport.Address);
        }

        ForEachOf(transport, end =>
        {
            end.Die();
            Watch(end.Peer, () => true);
        });
    }

    /// <summary>A host's name as it stands in addresses, which know small letters only.</summary>
    internal static string Named(string host)
    {
        ArgumentNullException.ThrowIfNull(host);
        return host.ToLowerInvariant();
    }

    internal SimulatedLink Link(string from, string to)
    {
        if (!_links.TryGetValue((from, to), out var link))
        {
            (string From, string To) named = (Named(from), Named(to));
            if (!_links.TryGetValue(named, out link))
            {
                link = new SimulatedLink(this, named.From, named.To);
                _links.Add(named, link);
                _linksInOrder.Add(link);
            }
        }

        return link;
    }

    internal void Listen(SimulatedTransport transport)
    {
        if (!_listeners.TryAdd(transport.Address, transport))
        {
            throw new InvalidOperationException($"A system listens at the simulated address {transport.Address} already.");
        }

        _silent.Remove(transport.Address);
        if (!_known.Add(transport.Address))
        {
            Observer?.Connection(ConnectionEvent.Restarted, transport.Host, transport.Host);
        }
    }

    /// <summary>A process stops in good order: its connections end behind what was sent.</summary>
    internal void Leave(SimulatedTransport transport)
    {
        if (_listeners.GetValueOrDefault(transport.Address) == transport)
        {
            _listeners.Remove(transport.Address);
        }

#pragma warning disable CS0618 // Abstract in Akka still.
        ForEachOf(transport, end => end.Disassociate());
#pragma warning restore CS0618
    }

    internal SimulatedTransport? Listener(Address address) => _listeners.GetValueOrDefault(address);

    /// <summary>Whether the host of a process that is not there says so.</summary>
    internal bool Answers(Address address) => !_silent.Contains(address);

    /// <summary>The same for a process that has been there: whoever is there now does not know its connections either.</summary>
    internal bool Answers(SimulatedTransport dead) => Answers(dead.Address);

    internal (SimulatedAssociation Mine, SimulatedAssociation Theirs) Connect(SimulatedTransport from, SimulatedTransport to, Address dialled)
    {
        bool oneSided = false;
        foreach (var older in _connections)
        {
            oneSided |= (older.Transport == to && older.Peer.Transport == from && !older.HasEnded)
                || (older.Transport == from && older.Peer.Transport == to && !older.Peer.HasEnded && older.HasEnded);
        }

        var pair = SimulatedAssociation.Connect(from, to, dialled);
        _connections.Add(pair.Dialler);
        Observer?.Connection(ConnectionEvent.Opened, from.Host, to.Host);
        if (oneSided)
        {
            Observer?.Connection(ConnectionEvent.OpenedFromOneSide, from.Host, to.Host);
        }

        LimitIntroduction(pair.Dialler);
        LimitIntroduction(pair.Listener);
        return pair;
    }

    /// <summary>The link has been cut: unless it is mended in time, connections over it end for silence.</summary>
    internal void FallsSilent(SimulatedLink link)
    {
        long cut = link.Cuts;
        bool Lasts() => link.IsCut && link.Cuts == cut;
        foreach (var dialler in _connections)
        {
            string one = dialler.Transport.Host, other = dialler.Peer.Transport.Host;
            if ((one == link.From && other == link.To) || (one == link.To && other == link.From))
            {
                Watch(dialler, Lasts);
                Watch(dialler.Peer, Lasts);
            }
        }
    }

    internal void Ended(SimulatedAssociation end, bool learned)
    {
        if (learned)
        {
            Observer?.Connection(ConnectionEvent.Ended, end.Transport.Host, end.Peer.Transport.Host);
        }

        if (end.Peer.HasEnded && !_connections.Remove(end))
        {
            _connections.Remove(end.Peer);
        }
    }

    private static Address Plain(Address process)
    {
        ArgumentNullException.ThrowIfNull(process);
        return process.WithProtocol("tcp");
    }

    /// <summary>An end of a connection hears nothing from now on; if that is still so after its time-out, it ends.</summary>
    private void Watch(SimulatedAssociation end, Func<bool> isSilent)
    {
        if (end.HasEnded)
        {
            return;
        }

        var patience = end.Transport.IdleTimeout + Random.Between(TimeSpan.Zero, end.Transport.KeepAliveInterval);
        Time.Schedule(patience, () =>
        {
            if (!end.HasEnded && isSilent())
            {
                Observer?.Connection(ConnectionEvent.FellSilent, end.Transport.Host, end.Peer.Transport.Host);
                end.EndBoth();
            }
        });
    }

    /// <summary>Whoever does not hear who the other is within the time for a connection ends it.</summary>
    private void LimitIntroduction(SimulatedAssociation end) => Time.Schedule(end.Transport.ConnectionTimeout, () =>
    {
        if (!end.HasEnded && !end.IsIntroduced)
        {
            end.EndBoth();
        }
    });

    /// <summary>A dialled connection that carries no message in time ends, and with it all between the two processes, as the product's do.</summary>
    internal void LimitFirstMessage(SimulatedAssociation dialler) => Time.Schedule(dialler.Transport.FirstMessageWithin, () =>
    {
        if (!dialler.HasEnded && !dialler.CarriedMessage)
        {
            ForEachOf(dialler.Transport, end =>
            {
                if (end.Peer.Transport == dialler.Peer.Transport)
                {
                    Observer?.Connection(ConnectionEvent.Unused, end.Transport.Host, end.Peer.Transport.Host);
                    end.EndBoth();
                }
            });
        }
    });

    private void ForEachOf(SimulatedTransport transport, Action<SimulatedAssociation> act)
    {
        foreach (var dialler in _connections.ToArray())
        {
            var end = dialler.Transport == transport ? dialler : dialler.Peer;
            if (end.Transport == transport && !end.HasEnded)
            {
                act(end);
            }
        }
    }
}
