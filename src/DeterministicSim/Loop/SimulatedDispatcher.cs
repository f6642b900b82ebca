using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Dispatch.SysMsg;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Named as <c>type</c> of every dispatcher in a simulated system's configuration.</summary>
public sealed class SimulatedDispatcherConfigurator : MessageDispatcherConfigurator
{
    private readonly SimulatedDispatcher _dispatcher;

    /// <summary>The constructor that Akka calls.</summary>
    public SimulatedDispatcherConfigurator(Config config, IDispatcherPrerequisites prerequisites)
        : base(config, prerequisites)
    {
        ArgumentNullException.ThrowIfNull(prerequisites);
        _dispatcher = new SimulatedDispatcher(this, SimulationLoop.Current, prerequisites.Settings.System);
    }

    /// <inheritdoc/>
    public override MessageDispatcher Dispatcher() => _dispatcher;
}

/// <summary>Runs mailboxes on the simulation's one thread, in seeded order, and writes every message into the trace.</summary>
internal sealed class SimulatedDispatcher : MessageDispatcher
{
    private static readonly string[] s_countedThroughTheProcess = ["/system/EventStreamUnsubscriber-", "/system/inbox-"];

    private readonly SimulationLoop _loop;
    private readonly int _system;

    /// <summary>A mailbox does not tell whose it is; its actor's path is learnt when a message is put into it.</summary>
    private readonly ConditionalWeakTable<Mailbox, string> _paths = [];

    public SimulatedDispatcher(MessageDispatcherConfigurator configurator, SimulationLoop loop, ActorSystem system)
        : base(configurator)
    {
        _loop = loop;
        _system = loop.NumberOf(system);
        // One message a turn: the seed decides after each (Akka's mailbox still takes up to two).
        Throughput = 1;
    }

    public override void Attach(ActorCell cell)
    {
        Learn(cell);
        base.Attach(cell);
    }

    public override void Dispatch(ActorCell cell, Envelope envelope)
    {
        if (_loop.IsOwnThread("a message"))
        {
            string path = Learn(cell);
            _loop.Trace.Add($"message {_system}{path} {envelope.Message.GetType()}");
            _loop.Watch?.Invoke(_system, cell.Self, envelope.Message);
        }

        base.Dispatch(cell, envelope);
    }

    public override void SystemDispatch(ActorCell cell, SystemMessage message)
    {
        // Not traced in order: a stopping parent tells its children in hash order, which differs between processes.
        Learn(cell);
        base.SystemDispatch(cell, message);
    }

    protected override void ExecuteTask(IRunnable run)
    {
        var key = run is Mailbox mailbox && _paths.TryGetValue(mailbox, out var path) ? path : "~run";
        _loop.Post(_system, key, run.Run);
    }

    protected override void Shutdown()
    {
        // Nothing of its own: the loop outlives it.
    }

    private string Learn(ActorCell cell)
    {
        var mailbox = cell.Mailbox;
        if (mailbox is not null && _paths.TryGetValue(mailbox, out var known))
        {
            return known;
        }

        var path = $"{WithoutCount(cell.Self.Path.ToStringWithoutAddress())}#{cell.Self.Path.Uid}";
        if (mailbox is not null)
        {
            _paths.AddOrUpdate(mailbox, path);
        }

        return path;
    }

    /// <summary>
    /// Akka numbers these actors through all systems of the process, with those of a test beside the simulation; within a system, their UIDs tell them
    /// apart.
    /// </summary>
    private static string WithoutCount(string path)
    {
        foreach (string name in s_countedThroughTheProcess)
        {
            if (path.StartsWith(name, StringComparison.Ordinal) && !path.AsSpan(name.Length).ContainsAnyExceptInRange('0', '9'))
            {
                return name;
            }
        }

        return path;
    }
}
