using Akka.Actor;
using Akka.Configuration;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Tests.Loop;

/// <summary>What the simulated network and host faults do to messages, seen by actors.</summary>
public sealed class NetworkFaultTests
{
    private const int Count = 200;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly Config Settings = ConfigurationFactory.ParseString("""
        akka {
          actor {
            serializers.cluster = "FtAkka.DeterministicSim.Tests.Loop.ClusterSerializer, FtAkka.DeterministicSim.Tests"
            serialization-bindings."FtAkka.DeterministicSim.Tests.Loop.ClusterProtocol+Ping, FtAkka.DeterministicSim.Tests" = cluster
          }
          remote.ftakka-tcp {
            trusted-selections = ["/user/receiver"]
            trusted-serializers = [7002]
          }
        }
        """);

    [Fact]
    public void Every_fault_of_the_scenario_has_an_effect()
    {
        var lines = ClusterScenario.Run(7, keepTrace: true).Result.Lines;

        foreach (var fate in new[] { FrameFate.Delivered, FrameFate.Lost, FrameFate.Duplicated, FrameFate.Partitioned, FrameFate.OldIncarnation, FrameFate.NoListener })
        {
            Assert.Contains(lines, line => line.StartsWith($"frame {fate} ", StringComparison.Ordinal));
        }

        Assert.DoesNotContain(lines, line => line.StartsWith("frame Refused ", StringComparison.Ordinal));
    }

    [Fact]
    public void Good_link_keeps_order_and_loses_nothing()
    {
        var received = SendOver(LinkQuality.Lan);

        Assert.Equal(Enumerable.Range(0, Count), received);
    }

    [Fact]
    public void Reordering_link_delivers_everything_in_another_order()
    {
        var received = SendOver(LinkQuality.Lan with { Reorder = true });

        Assert.NotEqual(Enumerable.Range(0, Count), received);
        Assert.Equal(Enumerable.Range(0, Count), received.Order());
    }

    [Fact]
    public void Lossy_link_loses_and_duplicating_link_repeats_about_as_often_as_told()
    {
        var lost = SendOver(LinkQuality.Lan with { LossPerMillion = 250_000 });
        var repeated = SendOver(LinkQuality.Lan with { DuplicationPerMillion = 250_000 });

        Assert.InRange(lost.Count, Count / 2, Count * 9 / 10);
        Assert.InRange(repeated.Count, Count * 11 / 10, Count * 3 / 2);
        Assert.Equal(Enumerable.Range(0, Count), repeated.Distinct().Order());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_way_cut_stops_one_direction_only_and_loses_or_delays(bool loses)
    {
        var (forth, back) = (new List<int>(), new List<int>());

        Simulation.Run(1, simulation =>
        {
            simulation.Network.CutLosesPerMillion = loses ? 1_000_000 : 0;
            var (a, b) = (Start(simulation, "a", back), Start(simulation, "b", forth));
            Tell(a, "b", 0);
            simulation.RunFor(Second);
            simulation.Network.CutOneWay("a", "b");
            Tell(a, "b", 1);
            Tell(b, "a", 2);
            simulation.RunFor(Second);
            Assert.Equal([0], forth);
            simulation.Network.MendOneWay("a", "b");
            Tell(a, "b", 3);
            simulation.RunFor(Second);
        });

        Assert.Equal(loses ? [0, 3] : [0, 1, 3], forth);
        Assert.Equal([2], back);
    }

    [Fact]
    public void Frame_under_way_to_a_crashed_host_does_not_reach_its_successor()
    {
        var (before, after) = (new List<int>(), new List<int>());

        var result = Simulation.Run(1, simulation =>
        {
            var a = Start(simulation, "a", []);
            var b = Start(simulation, "b", before);
            Tell(a, "b", 0);
            simulation.RunFor(Second);
            simulation.Network.DefaultQuality = new LinkQuality(Second, Second);
            Tell(a, "b", 1);
            simulation.RunFor(Second / 2);
            simulation.Crash(b);
            Start(simulation, "b", after);
            simulation.Network.DefaultQuality = LinkQuality.Lan;
            simulation.RunFor(Second * 2);
            Tell(a, "b", 2);
            simulation.RunFor(Second * 2);
        }, keepTrace: true);

        Assert.Equal([0], before);
        Assert.Equal([2], after);
        Assert.Contains(result.Lines, line => line.StartsWith("frame OldIncarnation a>b", StringComparison.Ordinal));
    }

    [Fact]
    public void Crashed_system_runs_no_more_and_paused_one_runs_later()
    {
        var (crashed, paused) = (new List<int>(), new List<int>());

        Simulation.Run(1, simulation =>
        {
            var (a, b) = (Start(simulation, "a", crashed), Start(simulation, "b", paused));
            simulation.RunFor(Second);
            simulation.Pause(b);
            Tell(b, "b", 1);
            Tell(a, "a", 1);
            simulation.Crash(a);
            simulation.RunFor(Second);
            Assert.Empty(paused);
            simulation.Resume(b);
            simulation.RunFor(Second);
        });

        Assert.Empty(crashed);
        Assert.Equal([1], paused);
    }

    private static List<int> SendOver(LinkQuality quality)
    {
        var received = new List<int>();
        Simulation.Run(3, simulation =>
        {
            simulation.Network.SetQuality("a", "b", quality);
            var a = Start(simulation, "a", []);
            Start(simulation, "b", received);
            simulation.RunFor(Second);
            for (var i = 0; i < Count; i++)
            {
                Tell(a, "b", i);
            }

            simulation.RunFor(Second);
        });
        return received;
    }

    private static ActorSystem Start(Simulation simulation, string host, List<int> received)
    {
        var system = simulation.Start(host, Settings);
        system.ActorOf(Props.Create(() => new Receiver(received)), "receiver");
        return system;
    }

    private static void Tell(ActorSystem from, string host, int number) =>
        from.ActorSelection($"akka.tcp://ftakka@{host}:4053/user/receiver").Tell(new ClusterProtocol.Ping(number), ActorRefs.NoSender);

    private sealed class Receiver : ReceiveActor
    {
        public Receiver(List<int> received) => Receive<ClusterProtocol.Ping>(ping => received.Add(ping.Number));
    }
}
