using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Dispatch.SysMsg;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Named as <c>type</c> of every dispatcher in a simulated system's configuration.</summary>
public sealed class SimulatedDispatcherConfigurator : MessageDispatcherConfigurator
{
    private readonly SimulatedDispatcher _dispatcher;

    /// <summary>The constructor that Akka calls.</summary>
    public SimulatedDispatcherConfigurator(Config config, IDispatcherPrerequisites prerequisites)
        : base(config, prerequisites)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(prerequisites);
        _dispatcher = new SimulatedDispatcher(
            this, SimulationLoop.Current, prerequisites.Settings.System, config.GetBoolean("remoting"), config.GetBoolean("ambient", true));
    }

    /// <inheritdoc/>
    public override MessageDispatcher Dispatcher() => _dispatcher;
}

/// <summary>
/// Runs mailboxes on the simulation's one thread, in seeded order, and writes every message into the trace. Mailboxes of remoting run on the
/// caller's stack, as the product's do on the caller's thread; frames show what comes of it. While a system is being made all of them do, since
/// Akka waits for the start of its remoting.
/// </summary>
internal sealed class SimulatedDispatcher : MessageDispatcher
{
    /// <summary>One in so many of remoting's mailboxes waits for its turn, as if another thread had been at it.</summary>
    private const int OneInSoManyWaits = 16;

    /// <summary>The actor that stops remoting, once it hears that the daemon for deployments is gone.</summary>
    private const string RemotingTerminator = "remoting-terminator";

    /// <summary>The actor that awaits the ends of endpoints and transports.</summary>
    private const string EndpointManager = "/system/endpointManager#";

    private readonly SimulationLoop _loop;
    private readonly int _system;
    private readonly bool _isRemoting;
    private readonly bool _ambient;

    /// <summary>A mailbox does not tell whose it is; its actor's path is learnt when a message is put into it.</summary>
    private readonly ConditionalWeakTable<Mailbox, string> _paths = [];

    /// <summary>What runs on the stack right now, innermost.</summary>
    private IRunnable? _running;
    private bool _runAgain;

    /// <summary>What is scheduled next is scheduled for a system message.</summary>
    private bool _systemMessage;

    public SimulatedDispatcher(MessageDispatcherConfigurator configurator, SimulationLoop loop, ActorSystem system, bool isRemoting, bool ambient)
        : base(configurator)
    {
        _loop = loop;
        _system = loop.NumberOf(system);
        (_isRemoting, _ambient) = (isRemoting, ambient);
        // One message a turn: the seed decides after each (Akka's mailbox still takes up to two).
        Throughput = 1;
    }

    public override void Attach(ActorCell cell)
    {
        Learn(cell);
        _systemMessage = true;
        base.Attach(cell);
        _systemMessage = false;
    }

    public override void Dispatch(ActorCell cell, Envelope envelope)
    {
        if (_loop.IsOwnThread("a message") && !_isRemoting)
        {
            string path = Learn(cell);
            _loop.Trace.Add($"message {_system}{path} {envelope.Message.GetType()}");
            _loop.Watch?.Invoke(_system, cell.Self, envelope.Message);
        }

        if (_isRemoting && envelope.Message is TerminationHookDone && cell.Self.Path.Name == RemotingTerminator && !_loop.StopsRemoting(_system))
        {
            _loop.StopRemoting(_system, () => base.Dispatch(cell, envelope));
            return;
        }

        base.Dispatch(cell, envelope);
    }

    public override void SystemDispatch(ActorCell cell, SystemMessage message)
    {
        // Not traced in order: a stopping parent tells its children in hash order, which differs between processes.
        Learn(cell);
        _systemMessage = true;
        base.SystemDispatch(cell, message);
        _systemMessage = false;
    }

    protected override void ExecuteTask(IRunnable run)
    {
        bool systemMessage = _systemMessage;
        _systemMessage = false;
        if (_loop.IsStarting)
        {
            RemotingWork.Run(run.Run);
            return;
        }

        if (_isRemoting && ReferenceEquals(run, _running))
        {
            // Its own end, with more to do: not deeper and deeper on the stack.
            _runAgain = true;
            return;
        }

        // What a system message does comes in an order that differs between processes, until the loop has sorted it.
        if (_isRemoting && !systemMessage && _loop.MayRunOnTheStack(_system) && !_loop.OneIn(OneInSoManyWaits))
        {
            RunHere(run);
            return;
        }

        string key = run is Mailbox mailbox && _paths.TryGetValue(mailbox, out var path) ? path : "~run";
        _loop.Post(_system, key, _ambient ? run.Run : () => RunHere(run));
    }

    protected override void Shutdown()
    {
        // Nothing of its own: the loop outlives it.
    }

    private void RunHere(IRunnable run)
    {
        var (before, again) = (_running, _runAgain);
        _running = run;
        try
        {
            do
            {
                _runAgain = false;
                // What follows from the manager's stop comes back to the loop.
                if (RemotingWork.IsCurrent || (_isRemoting && _loop.StopsRemoting(_system) && IsManager(run)))
                {
                    run.Run();
                }
                else
                {
                    RemotingWork.Run(run.Run);
                }
            }
            while (_runAgain);
        }
        finally
        {
            (_running, _runAgain) = (before, again);
        }
    }

    private bool IsManager(IRunnable run) =>
        run is Mailbox mailbox && _paths.TryGetValue(mailbox, out var path) && path.StartsWith(EndpointManager, StringComparison.Ordinal);

    private string Learn(ActorCell cell)
    {
        var mailbox = cell.Mailbox;
        if (mailbox is not null && _paths.TryGetValue(mailbox, out var known))
        {
            return known;
        }

        var path = $"{ProcessWideNames.Without(cell.Self.Path.ToStringWithoutAddress())}#{cell.Self.Path.Uid}";
        if (mailbox is not null)
        {
            _paths.AddOrUpdate(mailbox, path);
        }

        return path;
    }
}
