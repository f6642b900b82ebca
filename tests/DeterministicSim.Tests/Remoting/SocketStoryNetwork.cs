using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.VmmHost.Tests.Failover;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>Two systems over the product's transport, with a <see cref="StoryCable"/> to each.</summary>
internal sealed class SocketStoryNetwork : IStoryNetwork, IDisposable
{
    private readonly Dictionary<string, StoryCable> _cables = new() { ["a"] = new(), ["b"] = new() };
    private readonly Dictionary<string, ActorSystem> _systems = [];
    private readonly List<Task> _ending = [];

    /// <inheritdoc/>
    public ActorSystem Start(string host, Config config)
    {
        int bound = FreePort.Next();
        _cables[host].Open(bound);
        Config own = ConfigurationFactory.ParseString($$"""
            akka {
              actor.provider = remote
              stdout-loglevel = OFF
              loggers = []
              log-dead-letters = off
              coordinated-shutdown.run-by-clr-shutdown-hook = off
              remote.ftakka-tcp {
                hostname = 127.0.0.1
                port = {{bound}}
                public-port = {{_cables[host].Port}}
                enable-ssl = off
              }
            }
            """);
        return _systems[host] = ActorSystem.Create(RemotingStory.SystemName, own.WithFallback(config).WithFallback(RemotingDefaults.Reference));
    }

    /// <inheritdoc/>
    public void Kill(string host)
    {
        _cables[host].Dispose();
        foreach (StoryCable cable in _cables.Values)
        {
            cable.ResetAll();
        }
        // Its end in order would be heard by the other: what it says now is for nobody.
        _ending.Add(_systems[host].Terminate());
    }

    /// <inheritdoc/>
    public void Cut() => SetCut(true);

    /// <inheritdoc/>
    public void Mend() => SetCut(false);

    /// <inheritdoc/>
    public void ResetOneSide(string learns)
    {
        foreach ((string host, StoryCable cable) in _cables)
        {
            if (host == learns)
            {
                cable.ResetFar();
            }
            else
            {
                cable.ResetNear();
            }
        }
    }

    /// <inheritdoc/>
    public bool Until(Func<bool> condition, TimeSpan limit)
    {
        var time = Stopwatch.StartNew();
        while (!condition())
        {
            if (time.Elapsed > limit)
            {
                return false;
            }
            Thread.Sleep(2);
        }
        return true;
    }

    /// <inheritdoc/>
    public void Pass(TimeSpan time) => Thread.Sleep(time);

    /// <inheritdoc/>
    public void Dispose()
    {
        Task.WaitAll([.. _ending, .. _systems.Values.Select(system => system.Terminate())]);
        foreach (StoryCable cable in _cables.Values)
        {
            cable.Dispose();
        }
    }

    private void SetCut(bool cut)
    {
        foreach (StoryCable cable in _cables.Values)
        {
            cable.IsCut = cut;
        }
    }
}
