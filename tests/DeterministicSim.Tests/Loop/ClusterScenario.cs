using System.Globalization;
using System.Text;
using Akka.Actor;
using Akka.Configuration;
using Akka.Serialization;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Tests.Loop;

/// <summary>Messages of the scenario.</summary>
public static class ClusterProtocol
{
    public sealed record Ping(int Number);

    public sealed record Pong(int Number);

    public sealed record Question(int Number);

    public sealed record Answer(int Number);

    public sealed record Job(int Number);

    public sealed record Done(int Number);

    public sealed record Tick;
}

/// <summary>Writes them as text.</summary>
public sealed class ClusterSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    public override int Identifier => 7002;

    public override string Manifest(object o) => o.GetType().Name;

    public override byte[] ToBinary(object obj) => Encoding.ASCII.GetBytes(obj switch
    {
        ClusterProtocol.Ping ping => Text(ping.Number),
        ClusterProtocol.Pong pong => Text(pong.Number),
        ClusterProtocol.Question question => Text(question.Number),
        ClusterProtocol.Answer answer => Text(answer.Number),
        _ => throw new ArgumentException($"Not a message of the scenario: {obj.GetType()}"),
    });

    public override object FromBinary(byte[] bytes, string manifest)
    {
        var number = int.Parse(Encoding.ASCII.GetString(bytes), CultureInfo.InvariantCulture);
        return manifest switch
        {
            "Ping" => new ClusterProtocol.Ping(number),
            "Pong" => new ClusterProtocol.Pong(number),
            "Question" => new ClusterProtocol.Question(number),
            "Answer" => new ClusterProtocol.Answer(number),
            _ => throw new ArgumentException($"Unknown manifest '{manifest}'"),
        };
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What a run did, so that a test can see that it did anything.</summary>
public sealed class ClusterCounts
{
    public int Pongs { get; set; }

    public int Answers { get; set; }

    public int AskTimeouts { get; set; }

    public int WorkerCrashes { get; set; }

    public int WorkersLost { get; set; }

    public int JobsDone { get; set; }

    public int Restarts { get; set; }
}

/// <summary>
/// Three actor systems that ping each other, ask questions with a time limit, watch and supervise workers that crash, under loss,
/// reordering, duplication, a partition, an orderly restart, a power cut and a pause.
/// </summary>
public static class ClusterScenario
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly string[] Hosts = ["a", "b", "c"];

    private static readonly Config Settings = ConfigurationFactory.ParseString("""
        akka {
          loglevel = INFO
          actor {
            serializers.cluster = "FtAkka.DeterministicSim.Tests.Loop.ClusterSerializer, FtAkka.DeterministicSim.Tests"
            serialization-bindings {
              "FtAkka.DeterministicSim.Tests.Loop.ClusterProtocol+Ping, FtAkka.DeterministicSim.Tests" = cluster
              "FtAkka.DeterministicSim.Tests.Loop.ClusterProtocol+Pong, FtAkka.DeterministicSim.Tests" = cluster
              "FtAkka.DeterministicSim.Tests.Loop.ClusterProtocol+Question, FtAkka.DeterministicSim.Tests" = cluster
              "FtAkka.DeterministicSim.Tests.Loop.ClusterProtocol+Answer, FtAkka.DeterministicSim.Tests" = cluster
            }
          }
          remote.ftakka-tcp {
            trusted-recipients = ["/user/node", "/temp/*"]
            trusted-selections = ["/user/node"]
            trusted-serializers = [7002, 16, 17]
          }
        }
        """);

    public static (SimulationResult Result, ClusterCounts Counts) Run(ulong seed, bool keepTrace = false)
    {
        var counts = new ClusterCounts();
        var result = Simulation.Run(seed, simulation => Play(simulation, counts), keepTrace);
        return (result, counts);
    }

    private static void Play(Simulation simulation, ClusterCounts counts)
    {
        simulation.Network.DefaultQuality = new LinkQuality(
            TimeSpan.FromMicroseconds(100), TimeSpan.FromMilliseconds(3), LossPerMillion: 10_000, DuplicationPerMillion: 5_000, Reorder: true);
        var systems = Hosts.ToDictionary(host => host, host => StartNode(simulation, host, counts), StringComparer.Ordinal);
        simulation.RunFor(TimeSpan.FromSeconds(3));
        simulation.Network.Partition(["a"], ["b", "c"]);
        simulation.RunFor(TimeSpan.FromSeconds(2));
        simulation.Network.Heal();
        simulation.Network.CutOneWay("b", "c");
        simulation.RunFor(TimeSpan.FromSeconds(2));
        simulation.Network.Heal();
        simulation.Stop(systems["c"], Limit);
        simulation.RunFor(TimeSpan.FromSeconds(1));
        systems["c"] = StartNode(simulation, "c", counts);
        simulation.RunFor(TimeSpan.FromSeconds(1));
        simulation.Crash(systems["b"]);
        simulation.RunFor(TimeSpan.FromSeconds(1));
        systems["b"] = StartNode(simulation, "b", counts);
        simulation.Pause(systems["a"]);
        simulation.RunFor(TimeSpan.FromSeconds(1));
        simulation.Resume(systems["a"]);
        simulation.RunFor(TimeSpan.FromSeconds(3));
        foreach (var host in Hosts)
        {
            simulation.Stop(systems[host], Limit);
        }
    }

    private static ActorSystem StartNode(Simulation simulation, string host, ClusterCounts counts)
    {
        var system = simulation.Start(host, Settings);
        system.ActorOf(Props.Create(() => new NodeActor(host, simulation, counts)), "node");
        return system;
    }

    private sealed class NodeActor : ReceiveActor, IWithTimers
    {
        private readonly ClusterCounts _counts;
        private readonly Simulation _simulation;
        private readonly string[] _peers;
        private readonly Dictionary<string, IActorRef> _known = new(StringComparer.Ordinal);
        private readonly List<IActorRef> _workers = [];
        private int _number;
        private int _ticks;

        public NodeActor(string host, Simulation simulation, ClusterCounts counts)
        {
            _simulation = simulation;
            _counts = counts;
            _peers = [.. Hosts.Where(h => h != host)];
            Receive<ClusterProtocol.Ping>(ping => Sender.Tell(new ClusterProtocol.Pong(ping.Number)));
            Receive<ClusterProtocol.Pong>(_ => counts.Pongs++);
            Receive<ClusterProtocol.Question>(question => Sender.Tell(new ClusterProtocol.Answer(question.Number * 2)));
            Receive<ClusterProtocol.Answer>(_ => counts.Answers++);
            Receive<Status.Failure>(_ => counts.AskTimeouts++);
            Receive<ClusterProtocol.Done>(_ => counts.JobsDone++);
            Receive<ActorIdentity>(identity =>
            {
                if (identity.Subject is not null)
                {
                    _known[(string)identity.MessageId] = identity.Subject;
                }
            });
            Receive<Terminated>(gone =>
            {
                counts.WorkersLost++;
                _workers.Remove(gone.ActorRef);
                AddWorker();
            });
            ReceiveAsync<ClusterProtocol.Tick>(OnTick);
        }

        public ITimerScheduler Timers { get; set; } = null!;

        protected override void PreStart()
        {
            for (var i = 0; i < 4; i++)
            {
                AddWorker();
            }

            Timers.StartPeriodicTimer("tick", new ClusterProtocol.Tick(), TimeSpan.FromMilliseconds(50));
        }

        protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(
            failure => failure is InvalidOperationException ? Directive.Restart : Directive.Stop);

        private void AddWorker()
        {
            var worker = Context.ActorOf(Props.Create(() => new WorkerActor(_simulation, _counts)), $"worker-{_number++}");
            Context.Watch(worker);
            _workers.Add(worker);
        }

        private async Task OnTick(ClusterProtocol.Tick tick)
        {
            var number = _number++;
            foreach (var peer in _peers)
            {
                Context.ActorSelection($"akka.tcp://ftakka@{peer}:4053/user/node").Tell(new Identify(peer));
                if (_known.TryGetValue(peer, out var node))
                {
                    node.Tell(new ClusterProtocol.Ping(number));
                    _ = Ask(node, number).PipeTo(Self, useConfigureAwait: true);
                }
            }

            _workers.ForEach(worker => worker.Tell(new ClusterProtocol.Job(number)));
            if (++_ticks % 20 == 0 && _known.TryGetValue(_peers[0], out var first))
            {
                try
                {
                    await Ask(first, number);
                    _counts.Answers++;
                }
                catch (TaskCanceledException)
                {
                    _counts.AskTimeouts++;
                }
            }
        }

        private static Task<ClusterProtocol.Answer> Ask(IActorRef node, int number)
        {
            var timeout = new Cancelable(Context.System.Scheduler, TimeSpan.FromMilliseconds(200));
            return node.Ask<ClusterProtocol.Answer>(new ClusterProtocol.Question(number), timeout.Token);
        }
    }

    private sealed class WorkerActor : ReceiveActor
    {
        private readonly ClusterCounts _counts;

        public WorkerActor(Simulation simulation, ClusterCounts counts)
        {
            _counts = counts;
            Receive<ClusterProtocol.Job>(job =>
            {
                if (simulation.Random.Chance(20_000))
                {
                    counts.WorkerCrashes++;
                    throw simulation.Random.Chance(500_000) ? new InvalidOperationException("restart me") : new ArgumentException("stop me");
                }

                Sender.Tell(new ClusterProtocol.Done(job.Number));
            });
        }

        protected override void PostRestart(Exception reason)
        {
            _counts.Restarts++;
            base.PostRestart(reason);
        }
    }
}
