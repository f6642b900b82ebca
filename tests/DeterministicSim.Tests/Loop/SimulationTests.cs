using System.Diagnostics;
using System.Globalization;
using Akka.Actor;
using FtAkka.DeterministicSim.Loop;

namespace FtAkka.DeterministicSim.Tests.Loop;

public sealed class SimulationTests
{
    private const ulong Seed = 0x5EED;

    [Fact]
    public void Scenario_does_what_it_is_meant_to_do()
    {
        var (result, counts) = ClusterScenario.Run(Seed);

        Assert.True(result.Steps > 5_000, $"{result.Steps} steps");
        Assert.InRange(counts.Pongs, 500, int.MaxValue);
        Assert.InRange(counts.Answers, 500, int.MaxValue);
        Assert.InRange(counts.AskTimeouts, 10, int.MaxValue);
        Assert.InRange(counts.JobsDone, 1_000, int.MaxValue);
        Assert.InRange(counts.Restarts, 1, counts.WorkerCrashes);
        Assert.InRange(counts.WorkersLost, 1, counts.WorkerCrashes);
        Assert.InRange(result.VirtualTime, TimeSpan.FromSeconds(14), TimeSpan.FromMinutes(2));
    }

    [Fact]
    public void Same_seed_gives_the_same_trace_a_hundred_times()
    {
        var expected = ClusterScenario.Run(Seed, keepTrace: true).Result;
        for (var i = 0; i < 100; i++)
        {
            var (result, _) = ClusterScenario.Run(Seed, keepTrace: true);
            if (result.TraceHash != expected.TraceHash)
            {
                Assert.Fail($"Run {i} of seed {Seed:x} differs. First difference: {FirstDifference(expected.Lines, result.Lines)}");
            }
        }
    }

    [Fact]
    public async Task Other_actor_systems_of_the_process_change_nothing()
    {
        // A test with Akka.TestKit has one of its own, and Akka counts some names through all systems of a process.
        var expected = ClusterScenario.Run(Seed, keepTrace: true).Result.Lines;
        using var enough = new CancellationTokenSource();
        using var begun = new ManualResetEventSlim();
        var others = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                using var system = ActorSystem.Create("other");
                using var inbox = Inbox.Create(system);
                begun.Set();
                await system.Terminate();
            }
        });
        begun.Wait();

        var beside = ClusterScenario.Run(Seed, keepTrace: true).Result.Lines;
        await enough.CancelAsync();
        await others;

        Assert.Equal(expected, beside);
    }

    [Fact]
    public void Other_seeds_give_other_traces()
    {
        var hashes = Enumerable.Range(0, 20).Select(i => ClusterScenario.Run((ulong)i).Result.TraceHash);

        Assert.Equal(20, hashes.Distinct().Count());
    }

    [Fact]
    public void Two_processes_agree()
    {
        // String hash codes, and with them the order of Akka's hashed collections, differ from process to process.
        var here = ClusterScenario.Run(Seed).Result;
        var there = Enumerable.Range(0, 3).Select(_ => OtherProcess.Run("trace-hash", Seed.ToString(CultureInfo.InvariantCulture))).ToList();

        Assert.All(there, output => Assert.Equal($"{here.TraceHash} {here.TraceLines}", output));
    }

    [Fact]
    public void Continuation_that_leaves_the_loop_fails_the_run()
    {
        var failure = Assert.Throws<SimulationException>(() => Simulation.Run(1, simulation =>
        {
            var system = simulation.Start("a");
            var echo = system.ActorOf(Props.Create(() => new Echo()));
            simulation.RunFor(TimeSpan.FromSeconds(1));
            using var posted = new ManualResetEventSlim();
            // What a ConfigureAwait(false) in some library does: the rest runs on a pool thread, beside the loop.
            ThreadPool.QueueUserWorkItem(_ =>
            {
                echo.Tell("from outside");
                posted.Set();
            });
            posted.Wait();
            simulation.RunFor(TimeSpan.FromSeconds(1));
        }));

        Assert.Contains("another thread", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Endless_exchange_without_time_passing_is_called_a_livelock()
    {
        var failure = Assert.Throws<SimulationException>(() => Simulation.Run(1, simulation =>
        {
            var system = simulation.Start("a");
            var echo = system.ActorOf(Props.Create(() => new Echo()));
            echo.Tell("round", system.ActorOf(Props.Create(() => new Echo())));
            simulation.RunFor(TimeSpan.FromSeconds(1));
        }));

        Assert.Contains("livelock", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Failure_of_the_scenario_reaches_the_caller()
    {
        var failure = Assert.Throws<InvalidOperationException>(() => Simulation.Run(1, _ => throw new InvalidOperationException("mine")));

        Assert.Equal("mine", failure.Message);
    }

    [Fact]
    public void Virtual_hour_takes_little_real_time()
    {
        var real = Stopwatch.StartNew();

        var result = Simulation.Run(1, simulation =>
        {
            var system = simulation.Start("a");
            system.ActorOf(Props.Create(() => new Clock()));
            simulation.RunFor(TimeSpan.FromHours(1));
        });

        Assert.Equal(TimeSpan.FromHours(1), result.VirtualTime);
        Assert.True(result.Steps > 3600, $"{result.Steps} steps");
        Assert.True(real.Elapsed < TimeSpan.FromMinutes(5), "virtual time ran at the pace of the wall clock");
    }

    private static string FirstDifference(IReadOnlyList<string> left, IReadOnlyList<string> right)
    {
        var i = 0;
        while (i < left.Count && i < right.Count && left[i] == right[i])
        {
            i++;
        }

        return i < left.Count && i < right.Count ? $"line {i}: '{left[i]}' and '{right[i]}'" : $"{left.Count} and {right.Count} lines";
    }

    private sealed class Echo : ReceiveActor
    {
        public Echo() => ReceiveAny(message => Sender.Tell(message));
    }

    private sealed class Clock : ReceiveActor, IWithTimers
    {
        public Clock() => Receive<string>(_ => { });

        public ITimerScheduler Timers { get; set; } = null!;

        protected override void PreStart() => Timers.StartPeriodicTimer("second", "second", TimeSpan.FromSeconds(1));
    }
}
