using System.Globalization;
using Akka.Actor;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A verb that a node was asked for, and how things stood then.</summary>
/// <param name="Number">Verbs are numbered from 1 on.</param>
/// <param name="Action">What was asked.</param>
/// <param name="Host">Who was asked.</param>
/// <param name="Incarnation">Its process.</param>
/// <param name="At">When.</param>
/// <param name="Alone">No other verb waited for its answer.</param>
/// <param name="Primary">The live replica that owned the VM, if there was one.</param>
/// <param name="Peer">Where its backup was, if that could take over.</param>
/// <param name="Generation">The VM's generation.</param>
/// <param name="Role">Of the replica on the host that was asked.</param>
internal sealed record AskedVerb(
    int Number, ScriptedAction Action, SimulatedHost Host, long Incarnation, TimeSpan At, bool Alone, TrackedReplica? Primary, string? Peer, ulong Generation,
    ReplicaRole? Role)
{
    public bool IsAnswered { get; set; }

    /// <summary>For reports.</summary>
    public string Name => $"{ScenarioNames.Of(Action.Action)} of {Host.Name}";
}

/// <summary>Asks nodes what operators ask, and sees to it that they answer.</summary>
internal sealed class OperatorVerbs
{
    /// <summary>The longest patience of a node, ten seconds, and what a host may stand still meanwhile. A node that waits for nothing answers within two steps.</summary>
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan DownLeast = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan DownMost = TimeSpan.FromSeconds(2);

    private readonly ClusterWorld _world;
    private readonly VerbJudge _judge;
    private readonly List<AskedVerb> _open = [];

    public OperatorVerbs(ClusterWorld world)
    {
        _world = world;
        _judge = new VerbJudge(world, this);
    }

    /// <summary>Number of the last verb that was asked.</summary>
    public int Last { get; private set; }

    /// <summary>How often nodes did what they were asked, or began it.</summary>
    public SortedDictionary<OperatorAction, long> Done { get; } = [];

    /// <summary>How often nodes refused it.</summary>
    public SortedDictionary<OperatorAction, long> Refused { get; } = [];

    /// <summary>Asks a host's node.</summary>
    public void Ask(SimulatedHost host, ScriptedAction action)
    {
        _world.Tell(host.Name, TimelineKind.Operator, $"asked for {ScenarioPrinter.Print(action)}");
        TrackedReplica? primary = _world.Primary;
        var asked = new AskedVerb(++Last, action, host, host.Incarnation, _world.Now, _open.Count == 0, primary, primary?.Status is { CanTakeOver: true } status ? status.Peer : null,
            _world.Records.Newest?.Generation ?? 0, host.Replica?.Status.Role);
        _open.Add(asked);
        host.Node!.Tell(_world.Mutant.Asking(action, MessageOf(action)), new VerbAnswer(host.System!, asked.Number, answer => Answered(asked, _world.Mutant.Answering(action, answer))));
        _world.Simulation.Schedule(AnswerMax, () => RequireAnswer(asked));
    }

    /// <summary>
    /// The VM is started on a host, by the arbiter's record. Where the owner before lives and nobody could ask it, the operator has broken the one rule of --take-over:
    /// its host's plug is pulled before the new one can act.
    /// </summary>
    public void Starts(SimulatedHost host, OwnershipRecord before)
    {
        SimulatedHost former = _world.Host(before.Node);
        bool isFirm = !_open.Exists(asked => asked.Host == host && asked.Action is { Action: OperatorAction.Start, TakeOver: false });
        _judge.Started(host, isFirm, former, before);
        if (former.Incarnation == before.Incarnation && former.Replica is not null && former != host)
        {
            _world.Crash(former);
            StartLater(former);
        }
    }

    private object MessageOf(ScriptedAction action) => action.Action switch
    {
        OperatorAction.Start => new NodeProtocol.Start(_world.Profile, ClusterWorld.KernelImage, default, action.Host.Length > 0 ? action.Host : null, action.TakeOver, AcceptOldDisk: action.TakeOver),
        OperatorAction.Protect => new NodeProtocol.Protect(ClusterWorld.Vm, action.Host),
        OperatorAction.Unprotect => new NodeProtocol.Unprotect(ClusterWorld.Vm),
        OperatorAction.Failover => new NodeProtocol.Failover(ClusterWorld.Vm),
        OperatorAction.Reset => new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.Reset),
        OperatorAction.PowerOff => new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.PowerOff),
        OperatorAction.NodeStop => (object)new NodeProtocol.Leave(),
        _ => throw new ArgumentOutOfRangeException(nameof(action)),
    };

    private void Answered(AskedVerb asked, object? answer)
    {
        if (answer is null || !ClusterWorld.IsAlive(asked.Host, asked.Incarnation))
        {
            return;
        }
        if (asked.IsAnswered)
        {
            _world.Fail("operator", $"{asked.Name} is answered twice");
            return;
        }
        asked.IsAnswered = true;
        _open.Remove(asked);
        _world.Simulation.Trace.Add(string.Create(CultureInfo.InvariantCulture, $"verb {asked.Number} {answer.GetType().Name}"));
        _world.Tell(asked.Host.Name, TimelineKind.Operator, $"answers {ScenarioNames.Of(asked.Action.Action)}: {answer}");
        switch (answer)
        {
            case NodeProtocol.Refused refused:
                Count(Refused, asked);
                _judge.Refused(asked, refused.Why);
                break;
            case NodeProtocol.Done done:
                Count(Done, asked);
                _judge.Done(asked, done.Text);
                break;
            case NodeProtocol.Left:
                Count(Done, asked);
                _judge.Left(asked);
                _world.Simulation.Schedule(TimeSpan.Zero, () => Stop(asked));
                break;
            default:
                _world.Fail("operator", $"{asked.Name} is answered by {answer}");
                break;
        }
    }

    private static void Count(SortedDictionary<OperatorAction, long> counts, AskedVerb asked) =>
        counts[asked.Action.Action] = counts.GetValueOrDefault(asked.Action.Action) + 1;

    private void RequireAnswer(AskedVerb asked)
    {
        _open.Remove(asked);
        if (!asked.IsAnswered && ClusterWorld.IsAlive(asked.Host, asked.Incarnation))
        {
            _world.Fail("operator", $"{asked.Name} is not answered within {AnswerMax.TotalSeconds} s");
        }
    }

    /// <summary>The process of a node that has left ends, and begins anew some time later.</summary>
    private void Stop(AskedVerb asked)
    {
        if (ClusterWorld.IsAlive(asked.Host, asked.Incarnation))
        {
            _world.Crash(asked.Host, "has stopped in order");
            StartLater(asked.Host);
        }
    }

    private void StartLater(SimulatedHost host)
    {
        long stopped = host.Incarnation;
        _world.Simulation.Schedule(_world.Operator.Random.Between(DownLeast, DownMost), () =>
        {
            if (host.System is null && host.Incarnation == stopped)
            {
                _world.Start(host);
            }
        });
    }
}
