using System.Globalization;
using Akka.Actor;
using Akka.Event;
using Akka.Remote;
using FtAkka.Machine.Events;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes;

/// <summary>One for each host: starts VMs, takes offers of copies, keeps the heartbeat with the other nodes, and answers the control API.</summary>
public sealed partial class NodeActor : ReceiveActor, IWithTimers
{
    /// <summary>Name of the actor on every node.</summary>
    public const string Name = "node";

    private sealed record Beat;

    /// <summary>A peer counts as there until none of so many of its beats has come.</summary>
    private const int BeatsInTimeout = 6;

    private readonly NodeOptions settings;
    private readonly INodeArbiter arbiter;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly SortedDictionary<string, NodeEntry> entries = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, IActorRef> peers = new(StringComparer.Ordinal);
    private readonly NodeSenders senders;
    private readonly SortedDictionary<string, Heartbeat> lastBeats = new(StringComparer.Ordinal);
    private ICancelable? beats;
    private ConnectionBeats? connections;
    private readonly SortedDictionary<string, string> settingsTold = new(StringComparer.Ordinal);
    private readonly StepGaps gaps;
    private long beatsSent;
    private TimeSpan nextBeat;
    private int replicasMade;

    /// <summary>A node.</summary>
    public NodeActor(NodeOptions settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        this.settings = settings;
        arbiter = settings.Arbiter;
        senders = new NodeSenders(Context.System, settings.SendersProved);
        gaps = new StepGaps(settings.Protection);
        Receive<Beat>(_ =>
        {
            NoteGap();
            if (Now >= nextBeat)
            {
                SendBeat();
            }
            LookAfterReplicas();
        });
        Receive<AssociatedEvent>(told => connections!.Take(told));
        Receive<DisassociatedEvent>(told => connections!.Take(told));
        Receive<ConnectionBeats.Due>(_ => SendBeat());
        Receive<Heartbeat>(beat => senders.IsFrom(Sender, beat.NodeName), Hear);
        Receive<CloneOffer>(offer => senders.IsFrom(Sender, offer.Node), Take);
        Receive<VmQuestion>(question => senders.IsFrom(Sender, question.NodeName), AnswerTo);
        Receive<VmAnswer>(answer => senders.IsFrom(Sender, answer.NodeName), Hear);
        Receive<OfferJudged>(judged => senders.IsFrom(Sender, judged.NodeName), Hear);
        Receive<SettingsTold>(told => senders.IsFrom(Sender, told.NodeName), Hear);
        Receive<IWireMessage>(message => log.Warning("A {0} of {1} in another node's name is dropped", message.GetType().Name, senders.Describe(Sender)));
        Receive<VmReport>(Take);
        Receive<Terminated>(OnTerminated);
        Receive<StartProved>(OnStartProved);
        Receive<OfferProved>(OnOfferProved);
        Receive<NodeProtocol.Leave>(_ => Leave());
        Receive<NodeProtocol.Start>(Start);
        Receive<NodeProtocol.Protect>(Protect);
        Receive<NodeProtocol.Unprotect>(message => AskVm(message.Vm, message, VmVerb.Unprotect));
        Receive<NodeProtocol.Failover>(message => AskVm(message.Vm, message, VmVerb.Failover));
        Receive<NodeProtocol.Operate>(message => AskVm(message.Vm, message, VerbOf(message.Operation)));
        Receive<NodeProtocol.Attach>(message => AskVm(message.Vm, message, VmVerb.Attach));
        Receive<NodeProtocol.List>(List);
        Receive<NodeProtocol.ReadConsole>(ReadConsole);
        Receive<NodeProtocol.TypeConsole>(TypeConsole);
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Props of a node.</summary>
    public static Props Props(NodeOptions settings) => Akka.Actor.Props.Create(() => new NodeActor(settings));

    /// <summary>The actor of the node that is reached at an address, host:port.</summary>
    public static ActorPath PathOf(ActorSystem system, string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        int colon = address.LastIndexOf(':');
        return new VmAddress(address[..colon], int.Parse(address.AsSpan(colon + 1), CultureInfo.InvariantCulture)).Root(system) / "user" / Name;
    }

    /// <summary>A process that failed is never started again by itself: that would begin its VM anew beside the backup that takes over.</summary>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(failure =>
    {
        log.Error(failure, "The process of a VM failed");
        return Directive.Stop;
    });

    /// <inheritdoc/>
    protected override void PreStart()
    {
        foreach (string peer in settings.Peers.Keys)
        {
            peers[peer] = ((ExtendedActorSystem)Context.System).Provider.ResolveActorRef(PathOf(Context.System, settings.Peers[peer]));
        }
        TimeSpan interval = settings.Protection.HeartbeatInterval;
        connections = new ConnectionBeats(Context, Timers, SendBeat);
        gaps.Step(Now);
        beats = Context.System.Scheduler.ScheduleTellRepeatedlyCancelable(interval, interval, Self, new Beat(), Self);
    }

    /// <inheritdoc/>
    protected override void PostStop() => beats?.Cancel();

    /// <summary>That a node lives need not be known as soon as that a replica lives: replicas have heartbeats of their own.</summary>
    private TimeSpan BeatInterval => TimeSpan.FromTicks(Math.Max(settings.Protection.HeartbeatInterval.Ticks, settings.Protection.ChannelTimeout.Ticks / BeatsInTimeout));

    private void SendBeat()
    {
        nextBeat = Now + BeatInterval;
        var beat = new Heartbeat(settings.Name, settings.Incarnation, ++beatsSent, Context.System.Scheduler.HighResMonotonicClock.Ticks);
        foreach (IActorRef peer in peers.Values)
        {
            peer.Tell(beat);
        }
    }

    /// <summary>A node that its host gives no time is taken for dead by others, and would not know why.</summary>
    private void NoteGap()
    {
        if (gaps.Step(Now) is { } longest)
        {
            log.Warning("This node stood still for {0:F0} ms, which others cannot tell from its death: a gap in its own steps, {1} since it began. Its host has too little CPU for all "
                + "that runs on it, or was paused: give it more, or make ftakka.ft.failure-timeout longer on all nodes", longest.TotalMilliseconds, gaps.Seen.Count);
        }
    }

    private void LookAfterReplicas()
    {
        LookAfterStarts();
        AnswerLooks();
        if (IsLeaving)
        {
            GoOnLeaving();
        }
        else
        {
            Reprotect();
        }
    }

    private void Hear(Heartbeat beat)
    {
        Follow(lastBeats.GetValueOrDefault(beat.NodeName), beat);
        lastBeats[beat.NodeName] = beat;
        heard[beat.NodeName] = Now;
    }

    /// <summary>A node that is heard for the first time, or again after some of its heartbeats were lost, is told what must be the same on all nodes.</summary>
    private void Follow(Heartbeat? last, Heartbeat beat)
    {
        bool anew = last is not null && last.Incarnation != beat.Incarnation;
        bool lost = last is not null && !anew && beat.Sequence > last.Sequence + 1;
        if (anew)
        {
            log.Info("{0} was started anew", beat.NodeName);
            foreach (NodeEntry entry in entries.Values)
            {
                entry.Process.Tell(new VmCommand.NodeRestarted(beat.NodeName));
            }
        }
        if ((last is null || anew || lost) && peers.TryGetValue(beat.NodeName, out IActorRef? peer))
        {
            peer.Tell(new SettingsTold(settings.Name, CommonSettings.Write(settings)));
        }
    }

    private void Hear(SettingsTold told)
    {
        if (!peers.ContainsKey(told.NodeName) || settingsTold.GetValueOrDefault(told.NodeName) == told.Settings)
        {
            return;
        }
        settingsTold[told.NodeName] = told.Settings;
        string differences = string.Join("; ", CommonSettings.Differences(settings, told.Settings));
        if (differences.Length > 0)
        {
            log.Warning("{0} has other settings under ftakka.ft than this node, and all nodes must have the same: {1}", told.NodeName, differences);
        }
    }

    private static VmVerb VerbOf(ControlOperation operation) => operation switch
    {
        ControlOperation.PowerOff => VmVerb.PowerOff,
        ControlOperation.Reset => VmVerb.Reset,
        _ => VmVerb.Nmi,
    };

    private object AnswerOf(Func<object> act)
    {
        try
        {
            object answer = act();
            return answer is string text ? new NodeProtocol.Done(text) : answer;
        }
        catch (Exception refused) when (refused is NodeRefusedException or IOException or UnauthorizedAccessException)
        {
            return new NodeProtocol.Refused(refused.Message);
        }
        // A mistake of the node must not restart its actor: that would end all its VMs.
        catch (Exception mistake) when (mistake is not OutOfMemoryException)
        {
            log.Error(mistake, "The node failed at what it was asked for");
            return new NodeProtocol.Refused($"The node {settings.Name} failed at it: {mistake.Message} (its log has the error)");
        }
    }
}
