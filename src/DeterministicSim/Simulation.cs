using System.Globalization;
using System.Runtime.ExceptionServices;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote;
using FtAkka.DeterministicSim.Loop;
using FtAkka.Machine.Digest;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim;

/// <summary>What a run left behind.</summary>
/// <param name="Seed">The seed that repeats it.</param>
/// <param name="TraceHash">Hash of everything observable that happened; equal for equal runs, in any process.</param>
/// <param name="TraceLines">Lines in the trace.</param>
/// <param name="Steps">Steps of the loop.</param>
/// <param name="VirtualTime">Virtual time that passed.</param>
/// <param name="Lines">The trace itself, where it was kept.</param>
public sealed record SimulationResult(
    ulong Seed, string TraceHash, long TraceLines, long Steps, TimeSpan VirtualTime, IReadOnlyList<string> Lines);

/// <summary>
/// Several actor systems on one thread, in virtual time, with every choice made by one seed. Code that runs here keeps to some
/// rules: no <c>ConfigureAwait(false)</c>, <c>PipeTo</c> with <c>useConfigureAwait: true</c>, no Ask with a bare time-out (pass the
/// token of a <see cref="Cancelable"/> on the system's scheduler), no iteration over hashed collections that shows. A
/// continuation that leaves the loop fails the run.
/// </summary>
public sealed class Simulation : INetworkObserver
{
    private const int StackBytes = 16 * 1024 * 1024;

    [ThreadStatic]
    private static (int Number, HostClock Clock) t_systemBeingStarted;

    /// <summary>What is static in Akka was only looked at for one run at a time in a process.</summary>
    private static readonly Lock OneAtATime = new();

    private readonly SimulationLoop _loop;
    private int _systems;
    private Action<FrameFate, string, string>? _watchFrames;
    private Action<ConnectionEvent, string, string>? _watchConnections;
    private Action<int, RemotingLifecycleEvent>? _watchRemoting;

    private Simulation(ulong seed, bool keepTrace)
    {
        Seed = seed;
        _loop = new SimulationLoop(seed, keepTrace);
        _loop.Network = new SimulatedNetwork(seed, _loop, this);
        Random = SimulatedRandom.Stream(seed, "scenario");
    }

    /// <summary>Configuration that makes a system deterministic.</summary>
    public static Config Configuration { get; } = ReadConfiguration();

    /// <summary>The seed of this run.</summary>
    public ulong Seed { get; }

    /// <summary>Virtual time since the beginning.</summary>
    public TimeSpan Now => _loop.Now;

    /// <summary>The network between the systems.</summary>
    public SimulatedNetwork Network => _loop.Network;

    /// <summary>A generator for the scenario's own choices.</summary>
    public SimulatedRandom Random { get; }

    /// <summary>The trace, for what a scenario wants to add.</summary>
    public SimulationTrace Trace => _loop.Trace;

    internal static (int Number, HostClock Clock) SystemBeingStarted => t_systemBeingStarted;

    /// <summary>Runs a scenario from a seed, on a thread of its own, and waits for it.</summary>
    /// <param name="seed">Decides everything that is left to chance.</param>
    /// <param name="scenario">Starts systems, lets time pass, injects faults. Systems still running at its end are abandoned.</param>
    /// <param name="keepTrace">Keep the trace's text.</param>
    /// <exception cref="SimulationException">The run broke the rules of determinism, or did not end.</exception>
    public static SimulationResult Run(ulong seed, Action<Simulation> scenario, bool keepTrace = false)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        SimulationResult? result = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = RunHere(seed, scenario, keepTrace);
            }
            // Carried over to the caller's thread, whatever it is.
            catch (Exception thrown)
            {
                failure = ExceptionDispatchInfo.Capture(thrown);
            }
        }, StackBytes) { IsBackground = true, Name = "simulation" };
        lock (OneAtATime)
        {
            thread.Start();
            thread.Join();
        }

        failure?.Throw();
        return result!;
    }

    /// <summary>Starts an actor system on a simulated host.</summary>
    /// <param name="host">Name of the host; the system's address is <c>akka.tcp://name@host:port</c>.</param>
    /// <param name="config">The system's ordinary configuration.</param>
    /// <param name="name">Name of the actor system.</param>
    /// <param name="clock">The host's clock; null for one that shows true time.</param>
    /// <param name="port">Its port; a host may run several systems.</param>
    public ActorSystem Start(string host, Config? config = null, string name = "ftakka", HostClock? clock = null, int port = 4053)
    {
        var address = ConfigurationFactory.ParseString(string.Create(CultureInfo.InvariantCulture, $$"""
            akka.remote.ftakka-tcp {
              hostname = "{{host}}"
              public-hostname = "{{host}}"
              port = {{port}}
            }
            """));
        t_systemBeingStarted = (_systems++, clock ?? new HostClock());
        ActorSystem system;
        using var none = WithoutContext.Enter();
        _loop.IsStarting = true;
        try
        {
            system = ActorSystem.Create(name, address.WithFallback(Configuration).WithFallback(config ?? ConfigurationFactory.Empty));
        }
        finally
        {
            _loop.IsStarting = false;
        }

        int number = t_systemBeingStarted.Number;
        if (_loop.NumberOf(system) != number)
        {
            throw new SimulationException("Actor systems of a simulation must be started by Simulation.Start.");
        }

        RemotingEvents.Subscribe(system, told => RemotingTold(number, host, told));
        return system;
    }

    /// <summary>Lets virtual time pass.</summary>
    public void RunFor(TimeSpan time)
    {
        using var none = WithoutContext.Enter();
        var until = Now + time;
        while (_loop.Step(until))
        {
        }
    }

    /// <summary>Lets virtual time pass until a condition holds.</summary>
    /// <returns>False if it did not within the limit.</returns>
    public bool RunUntil(Func<bool> condition, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(condition);
        using var none = WithoutContext.Enter();
        var until = Now + limit;
        while (!condition())
        {
            if (!_loop.Step(until))
            {
                return condition();
            }
        }

        return true;
    }

    /// <summary>Lets virtual time pass until a task is complete, and gives its result.</summary>
    /// <exception cref="SimulationException">It was not complete within the limit.</exception>
    public T Await<T>(Task<T> task, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(task);
        return RunUntil(() => task.IsCompleted, limit)
            ? task.GetAwaiter().GetResult()
            : throw new SimulationException($"Not complete within {limit} of virtual time.");
    }

    /// <summary>Stops a system in good order.</summary>
    /// <exception cref="SimulationException">It did not stop within the limit.</exception>
    public void Stop(ActorSystem system, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(system);
        var terminated = system.Terminate();
        if (!RunUntil(() => terminated.IsCompleted && system.WhenTerminated.IsCompleted, limit))
        {
            throw new SimulationException($"{system.Name} did not stop within {limit} of virtual time.");
        }
    }

    /// <summary>A power cut: the system neither runs nor is heard of again. Its host may start another.</summary>
    public void Crash(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        _loop.Trace.Add($"crash {_loop.NumberOf(system)}");
        Network.Crash(AddressOf(system));
        _loop.Kill(system);
    }

    /// <summary>A system's process stands still until <see cref="Resume"/>: neither messages nor timers of it run.</summary>
    /// <remarks>Bare tasks belong to no system and go on; continuations of actors do not.</remarks>
    public void Pause(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        _loop.Pause(system);
        Network.Hold(AddressOf(system));
    }

    /// <summary>A paused process goes on and finds that time has passed.</summary>
    public void Resume(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        _loop.Resume(system);
        Network.Release(AddressOf(system));
    }

    /// <summary>Runs an action as work of a system after a delay of true time: not while the system is paused, never once it has crashed.</summary>
    public void Schedule(ActorSystem system, TimeSpan delay, Action action)
    {
        ArgumentNullException.ThrowIfNull(system);
        _loop.Schedule(_loop.NumberOf(system), delay, action);
    }

    /// <summary>Runs an action of the world outside all systems after a delay.</summary>
    public void Schedule(TimeSpan delay, Action action) => _loop.Schedule(delay, action);

    /// <summary>The number by which observers and traces know a system.</summary>
    public int NumberOf(ActorSystem system) => _loop.NumberOf(system);

    /// <summary>Shows every line of the systems' logs.</summary>
    public void WatchLog(Action<Akka.Event.LogEvent> watch) => _loop.WatchLog = watch;

    /// <summary>Shows what happens to frames between hosts.</summary>
    public void WatchFrames(Action<FrameFate, string, string> watch) => _watchFrames = watch;

    /// <summary>Shows what happens to connections between hosts.</summary>
    public void WatchConnections(Action<ConnectionEvent, string, string> watch) => _watchConnections = watch;

    /// <summary>Shows what Akka's remoting tells of its life: associations, errors, quarantines, by the number of the system.</summary>
    public void WatchRemoting(Action<int, RemotingLifecycleEvent> watch) => _watchRemoting = watch;

    /// <summary>Shows every message to an actor, by the number of its system, when it is put into the mailbox.</summary>
    public void WatchMessages(Action<int, IActorRef, object> watch) => _loop.Watch = watch;

    private void RemotingTold(int system, string host, RemotingLifecycleEvent told)
    {
        _watchRemoting?.Invoke(system, told);
        if (told is QuarantinedEvent quarantined)
        {
            ((INetworkObserver)this).Connection(ConnectionEvent.Quarantined, SimulatedNetwork.Named(host), quarantined.Address.Host);
        }
    }

    private static Address AddressOf(ActorSystem system) => ((ExtendedActorSystem)system).Provider.DefaultAddress;

    /// <inheritdoc/>
    void INetworkObserver.Frame(FrameFate fate, string from, string to, ReadOnlySpan<byte> frame)
    {
        _watchFrames?.Invoke(fate, from, to);
        _loop.Trace.Add($"frame {fate} {from}>{to} {frame.Length} {XxHash64.Hash(frame):x16}");
    }

    /// <inheritdoc/>
    void INetworkObserver.Connection(ConnectionEvent what, string from, string to)
    {
        _watchConnections?.Invoke(what, from, to);
        _loop.Trace.Add($"connection {what} {from}>{to}");
    }

    private static SimulationResult RunHere(ulong seed, Action<Simulation> scenario, bool keepTrace)
    {
        AkkaUids.Seed(seed);
        var simulation = new Simulation(seed, keepTrace);
        var loop = simulation._loop;
        try
        {
            // One task around everything, so that the scheduler is current in whatever the loop runs. No synchronization context:
            // Akka's ReceiveAsync would prefer it to its own scheduler and lose its actor.
            var body = new Task(() => scenario(simulation));
            body.RunSynchronously(new SimulatedTaskScheduler(loop));
            body.GetAwaiter().GetResult();
            return new SimulationResult(seed, loop.Trace.Hash(), loop.Trace.Count, loop.Steps, loop.Now, loop.Trace.Lines);
        }
        finally
        {
            loop.End();
        }
    }

    private static Config ReadConfiguration()
    {
        using var stream = typeof(Simulation).Assembly.GetManifestResourceStream("FtAkka.DeterministicSim.simulation.hocon")
            ?? throw new InvalidOperationException("The assembly lacks its resource FtAkka.DeterministicSim.simulation.hocon.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}
