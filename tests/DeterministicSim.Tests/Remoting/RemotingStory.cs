using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote;
using FtAkka.DeterministicSim.Loop;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>
/// The life of associations between two systems, chapter by chapter: what Akka's remoting tells of it on each side. Over sockets the same must be
/// told as in the simulation. How often a dial fails while nobody is there depends on time: equal lines in a row are one.
/// </summary>
public sealed class RemotingStory(IStoryNetwork network)
{
    public const string SystemName = "story";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>What is said in the very moment of an end goes to dead letters: remoting opens its gate a tick of the scheduler later.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(100);

    private readonly List<string> _told = [];
    private readonly ConcurrentDictionary<string, ConcurrentQueue<string>> _events = new();
    private readonly ConcurrentDictionary<string, int> _heard = new();
    private readonly ConcurrentDictionary<string, ActorSystem> _systems = new();
    private readonly Dictionary<string, Address> _addresses = [];
    private int _number;

    /// <summary>Settings of both systems; addresses, certificates and the transport's class are the network's.</summary>
    public static Config Settings { get; } = ConfigurationFactory.ParseString("""
        akka {
          loglevel = WARNING
          remote {
            retry-gate-closed-for = 0s
            ftakka-tcp {
              trusted-recipients = ["/user/node"]
              trusted-serializers = [17]
              connection-timeout = 1s
              redial-after = 100ms
              keep-alive-interval = 300ms
              idle-timeout = 1500ms
            }
          }
        }
        """);

    /// <summary>Plays it, and gives what was told: a line for each chapter, and under it the events of a and of b.</summary>
    public IReadOnlyList<string> Play()
    {
        Start("a");
        Start("b");
        Chapter("a speaks to b, and b answers over the same connection", () =>
        {
            Speak("a", "b");
            Speak("b", "a");
        });
        Chapter("a learns that the connection has ended, b does not; a speaks", () =>
        {
            network.ResetOneSide("a");
            Hears("a", "ended");
            network.Pass(Moment);
            Speak("a", "b");
        });
        Chapter("b learns, a does not, and learns when it speaks", () =>
        {
            network.ResetOneSide("b");
            Hears("b", "ended");
            SpeakUntilHeard("a", "b");
        });
        Chapter("the cable is pulled until both have given up, and plugged in", () =>
        {
            network.Cut();
            SpeakUntil("a", "b", () => Told("a", "ended") && Told("b", "ended"));
            network.Mend();
            SpeakUntilHeard("a", "b");
        });
        Chapter("b dies and begins again under its address", () =>
        {
            Kill("b");
            SpeakUntil("a", "b", () => Told("a", "error"));
            Start("b");
            SpeakUntilHeard("a", "b");
        });
        Chapter("a quarantines this b, which then cannot reach it", () =>
        {
            Quarantine("a", "b");
            Hears("a", "quarantined");
            SpeakUntil("b", "a", () => Told("b", "is quarantined"));
        });
        Chapter("b dies, begins again and is another", () =>
        {
            Kill("b");
            Start("b");
            SpeakUntilHeard("a", "b");
            SpeakUntilHeard("b", "a");
        });
        return _told;
    }

    private void Start(string host)
    {
        ActorSystem system = network.Start(host, Settings);
        _systems[host] = system;
        _addresses[host] = ((ExtendedActorSystem)system).Provider.DefaultAddress;
        RemotingEvents.Subscribe(system, told =>
        {
            if (_systems.GetValueOrDefault(host) == system)
            {
                Note(host, told);
            }
        });
        system.ActorOf(Props.Create(() => new Listener(this, host)), "node");
    }

    /// <summary>What a system that has been killed goes through is not told.</summary>
    private void Kill(string host)
    {
        _systems.TryRemove(host, out _);
        network.Kill(host);
    }

    private void Chapter(string title, Action act)
    {
        act();
        network.Pass(TimeSpan.FromSeconds(3));   // what the other side has yet to learn
        _told.Add(title);
        foreach (string host in (string[])["a", "b"])
        {
            string before = "";
            foreach (string line in WithDialsAsOne(host))
            {
                if (line != before)
                {
                    _told.Add($"  {host}: {line}");
                }
                before = line;
            }
        }
    }

    /// <summary>An endpoint whose dial has failed tells of an error and then of its end.</summary>
    private List<string> WithDialsAsOne(string host)
    {
        var lines = new List<string>();
        while (_events.TryGetValue(host, out var events) && events.TryDequeue(out string? line))
        {
            if (line == "ended" && lines is [.., "error"])
            {
                lines[^1] = "could not reach the other";
            }
            else
            {
                lines.Add(line);
            }
        }
        return lines;
    }

    /// <summary>One message, which must arrive.</summary>
    private void Speak(string from, string to)
    {
        int before = _heard.GetValueOrDefault(to);
        Tell(from, to);
        Assert.True(network.Until(() => _heard.GetValueOrDefault(to) > before, Limit), $"{to} did not hear {from} in: {_told.LastOrDefault()}");
    }

    private void SpeakUntilHeard(string from, string to)
    {
        int before = _heard.GetValueOrDefault(to);
        SpeakUntil(from, to, () => _heard.GetValueOrDefault(to) > before);
    }

    private void SpeakUntil(string from, string to, Func<bool> condition)
    {
        for (int i = 0; i < 300; i++)
        {
            Tell(from, to);
            if (network.Until(condition, TimeSpan.FromMilliseconds(100)))
            {
                return;
            }
        }
        Assert.Fail($"{from} spoke in vain to {to} behind: {_told.LastOrDefault()}");
    }

    private void Tell(string from, string to)
    {
        var own = ((ExtendedActorSystem)_systems[from]).Provider;
        Address address = _addresses[to];
        own.ResolveActorRef(new RootActorPath(address) / "user" / "node").Tell($"{++_number}", ActorRefs.NoSender);
    }

    private void Quarantine(string who, string whom)
    {
        var provider = (RemoteActorRefProvider)((ExtendedActorSystem)_systems[who]).Provider;
        provider.Quarantine(((ExtendedActorSystem)_systems[whom]).Provider.DefaultAddress, AddressUidExtension.Uid(_systems[whom]));
    }

    private void Hears(string host, string line) =>
        Assert.True(network.Until(() => Told(host, line), Limit), $"{host} was not told: {line}");

    private bool Told(string host, string line) => _events.TryGetValue(host, out var events) && events.Contains(line);

    private void Note(string host, RemotingLifecycleEvent told)
    {
        string? line = told switch
        {
            AssociatedEvent { IsInbound: true } => "associated by the other",
            AssociatedEvent => "associated",
            DisassociatedEvent => "ended",
            AssociationErrorEvent => "error",
            QuarantinedEvent => "quarantined",
            ThisActorSystemQuarantinedEvent => "is quarantined",
            _ => null,
        };
        if (line is not null)
        {
            _events.GetOrAdd(host, _ => new ConcurrentQueue<string>()).Enqueue(line);
        }
    }

    private sealed class Listener : ReceiveActor
    {
        public Listener(RemotingStory story, string host) => Receive<string>(_ => story._heard.AddOrUpdate(host, 1, (_, count) => count + 1));
    }
}
