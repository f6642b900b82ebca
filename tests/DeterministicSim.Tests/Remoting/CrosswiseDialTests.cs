using Akka.Actor;
using Akka.Configuration;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>A process begins again and dials its peer while the peer dials it.</summary>
public sealed class CrosswiseDialTests
{
    /// <summary>A step is ten microseconds: a's dial begins so much before, or behind, b's.</summary>
    private static readonly IEnumerable<int> Distances = Enumerable.Range(-30, 61).Select(step => step * 10);

    /// <summary>
    /// At some distances b's dial is answered when Akka has stopped the endpoint that dialled: a new a has introduced itself. Nobody at b holds what
    /// was dialled, but a may have chosen it to read from, and then hears nothing that b says elsewhere.
    /// </summary>
    [Fact]
    public void Both_hear_each_other_whatever_the_distance_between_their_dials()
    {
        int unused = 0;
        Assert.DoesNotContain(Distances, distance => !AreWell(distance, "1s", ref unused));
        Assert.True(unused > 0, "At no distance was there a connection that nobody used: nothing was tested.");
    }

    /// <summary>What <c>first-message-within</c> is for.</summary>
    [Fact]
    public void Without_the_limit_one_stays_deaf_at_some_distance()
    {
        int unused = 0;
        Assert.Contains(Distances, distance => !AreWell(distance, "1h", ref unused));
    }

    private static bool AreWell(int distanceInMicroseconds, string firstMessageWithin, ref int unused)
    {
        bool well = false;
        int ended = 0;
        Simulation.Run(1, simulation =>
        {
            simulation.Network.CrashIsSilentPerMillion = 0;
            simulation.WatchConnections((what, _, _) => ended += what == ConnectionEvent.Unused ? 1 : 0);
            var pair = new Pair(simulation, ConfigurationFactory.ParseString($"akka.remote.ftakka-tcp.first-message-within = {firstMessageWithin}")
                .WithFallback(RemotingStory.Settings));
            Assert.True(pair.Converse(TimeSpan.FromSeconds(5)));
            pair.RestartA();
            pair.Speak("b", "a");   // to the one that is gone: b learns of it
            simulation.RunFor(TimeSpan.FromMilliseconds(50));
            simulation.Schedule(TimeSpan.FromMilliseconds(1), () => pair.Speak("b", "a"));
            simulation.Schedule(TimeSpan.FromMilliseconds(1) + TimeSpan.FromMicroseconds(distanceInMicroseconds), () => pair.Speak("a", "b"));
            simulation.RunFor(TimeSpan.FromMilliseconds(10));
            well = pair.Converse(TimeSpan.FromSeconds(5));
        });
        unused += ended;
        return well;
    }

    private sealed class Pair
    {
        private readonly Simulation _simulation;
        private readonly Config _settings;
        private readonly Dictionary<string, ActorSystem> _systems = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> _heard = new(StringComparer.Ordinal);

        public Pair(Simulation simulation, Config settings)
        {
            (_simulation, _settings) = (simulation, settings);
            Start("a");
            Start("b");
        }

        public void RestartA()
        {
            _simulation.Crash(_systems["a"]);
            Start("a");
        }

        public void Speak(string from, string to) => ((ExtendedActorSystem)_systems[from]).Provider
            .ResolveActorRef(new RootActorPath(new Address("akka.tcp", RemotingStory.SystemName, to, 4053)) / "user" / "node")
            .Tell("word", ActorRefs.NoSender);

        /// <summary>Both speak every tenth of a second. False if one of them has heard nothing by then.</summary>
        public bool Converse(TimeSpan limit)
        {
            (_heard["a"], _heard["b"]) = (0, 0);
            for (TimeSpan end = _simulation.Now + limit; _simulation.Now < end;)
            {
                Speak("a", "b");
                Speak("b", "a");
                if (_simulation.RunUntil(() => _heard["a"] > 0 && _heard["b"] > 0, TimeSpan.FromMilliseconds(100)))
                {
                    return true;
                }
            }

            return false;
        }

        private void Start(string host)
        {
            _systems[host] = _simulation.Start(host, _settings, RemotingStory.SystemName);
            Action hears = () => _heard[host]++;
            _systems[host].ActorOf(Props.Create(() => new Listener(hears)), "node");
        }
    }

    private sealed class Listener : ReceiveActor
    {
        public Listener(Action heard) => Receive<string>(_ => heard());
    }
}
