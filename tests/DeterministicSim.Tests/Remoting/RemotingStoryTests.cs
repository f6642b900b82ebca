using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Configuration;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>The story of associations in the simulation, and over sockets.</summary>
public sealed class RemotingStoryTests
{
    private const string FileName = "remoting-story.golden";

    [Fact]
    public void Story_is_told_as_it_was_written_down()
    {
        string file = Path.Combine(Folder(), FileName);
        IReadOnlyList<string> told = Play(1);
        if (Environment.GetEnvironmentVariable("FTAKKA_RENEW_GOLDEN") == "1")
        {
            File.WriteAllLines(file, told);
        }
        Assert.True(File.ReadAllLines(file).SequenceEqual(told), $"Another story than in {FileName}:\n{string.Join('\n', told)}");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Chance_changes_nothing_in_it(ulong seed) => Assert.Equal(Play(1), Play(seed));

    /// <summary>
    /// The simulated transport is like the product's. A host that stands still for longer than an interval of the keep-alive changes who is first
    /// to learn of an end: one play of three must be the simulation's.
    /// </summary>
    [Fact]
    public async Task Story_over_sockets_is_that_of_the_simulation()
    {
        IReadOnlyList<string> simulated = Play(1), told = [];
        for (int play = 0; play < 3 && !told.SequenceEqual(simulated); play++)
        {
            told = await Task.Factory.StartNew(
                PlayOverSockets, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        Assert.True(told.SequenceEqual(simulated), $"Over sockets:\n{string.Join('\n', told)}");
    }

    /// <summary>A play that came to a stop, since the host was too busy for the times in it, is one that is not the simulation's.</summary>
    private static IReadOnlyList<string> PlayOverSockets()
    {
        try
        {
            using var network = new SocketStoryNetwork();
            return new RemotingStory(network).Play();
        }
        catch (Xunit.Sdk.XunitException stopped)
        {
            return [stopped.Message];
        }
    }

    /// <summary>Restarts, a partition, one-sided ends and a quarantine: nothing of them depends on the process.</summary>
    [Fact]
    public void Seed_gives_one_hash_here_again_and_in_other_processes()
    {
        string hash = Run(7).TraceHash;

        Assert.Equal(hash, Run(7).TraceHash);
        Assert.Equal(hash, OtherProcess.Run("story-hash", "7"));
        Assert.Equal(hash, OtherProcess.Run("story-hash", "7"));
        Assert.NotEqual(hash, Run(8).TraceHash);
    }

    internal static SimulationResult Run(ulong seed, Action<IReadOnlyList<string>>? told = null) => Simulation.Run(seed, simulation =>
    {
        var lines = new RemotingStory(new SimulatedStoryNetwork(simulation)).Play();
        told?.Invoke(lines);
    });

    private static IReadOnlyList<string> Play(ulong seed)
    {
        IReadOnlyList<string> told = [];
        Run(seed, lines => told = lines);
        return told;
    }

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;

    private sealed class SimulatedStoryNetwork : IStoryNetwork
    {
        private readonly Simulation _simulation;
        private readonly Dictionary<string, ActorSystem> _systems = new(StringComparer.Ordinal);

        public SimulatedStoryNetwork(Simulation simulation)
        {
            _simulation = simulation;
            simulation.Network.CrashIsSilentPerMillion = 0;
            simulation.Network.CutLosesPerMillion = 0;
        }

        public ActorSystem Start(string host, Config config) => _systems[host] = _simulation.Start(host, config, RemotingStory.SystemName);

        public void Kill(string host) => _simulation.Crash(_systems[host]);

        public void Cut() => _simulation.Network.Partition(["a"], ["b"]);

        public void Mend() => _simulation.Network.Heal();

        public void ResetOneSide(string learns) => _simulation.Network.ResetOneSide(learns, learns == "a" ? "b" : "a");

        public bool Until(Func<bool> condition, TimeSpan limit) => _simulation.RunUntil(condition, limit);

        public void Pass(TimeSpan time) => _simulation.RunFor(time);
    }
}
