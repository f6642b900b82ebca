using Akka.Actor;
using Akka.Event;
using Akka.Remote;
using FtAkka.DeviceActors.Consoles;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>
/// One VM on a host: makes its machine, runs its replica, takes its messages from the wire and keeps its console. Its node tells it what to do by <see cref="VmCommand"/>
/// and learns from it by <see cref="VmReport"/>; they share nothing else, and what hangs here keeps nobody else waiting.
/// </summary>
public sealed partial class VmProcessActor : ReceiveActor, IWithTimers
{
    private sealed record Tick;

    private sealed record Made(ReplicaHandle Handle);

    private sealed record ViewMoved;

    private sealed record ReplicaEnded(ReplicaEnd End);

    private readonly NodeOptions settings;
    private readonly string vm;
    private readonly IActorRef agent;
    private readonly IActorRef self = Context.Self;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly NodeSenders senders;
    private readonly ConsoleScrollback console = new();
    private readonly PreparedMachine machine = new();
    private ReplicaHandle? replica;
    private IActorRef? replicaActor;
    private ReplicaEndpoint? endpoint;
    private ReplicaEnd? end;
    private ulong claimed;
    private bool switchedOff;

    /// <summary>A VM.</summary>
    /// <param name="settings">Of its node.</param>
    /// <param name="vm">Its name.</param>
    /// <param name="agent">Gets the reports.</param>
    public VmProcessActor(NodeOptions settings, string vm, IActorRef agent)
    {
        ArgumentNullException.ThrowIfNull(settings);
        (this.settings, this.vm, this.agent) = (settings, vm, agent);
        senders = new NodeSenders(Context.System, settings.SendersProved);
        nextProof = Now + settings.ProofInterval;
        Receive<VmCommand.Start>(Start);
        Receive<VmCommand.TakeCopy>(TakeCopy);
        Receive<VmCommand.OfferedAgain>(message => replica?.Received(message.Offer));
        Receive<VmCommand.OfferJudged>(OnJudged);
        Receive<VmCommand.Ask>(Ask);
        Receive<VmCommand.Order>(Obey);
        Receive<VmCommand.Look>(message => agent.Tell(new VmReport.Settled(message.Number, View)));
        Receive<VmCommand.SwitchOff>(_ => SwitchOff());
        Receive<VmCommand.ReadConsole>(ReadConsole);
        Receive<VmCommand.TypeConsole>(TypeConsole);
        Receive<VmCommand.NodeRestarted>(message => replica?.Restarted(message.Node));
        Receive<VmReport.Answer>(answer => agent.Tell(answer));
        Receive<Made>(made => agent.Tell(new VmReport.Began(made.Handle.View, VmAddress.Of(Context.System).ToString())));
        Receive<ViewMoved>(_ => OnViewMoved());
        Receive<VmReport.Dropped>(dropped => agent.Tell(dropped));
        Receive<ReplicaEnded>(message => OnEnded(message.End));
        Receive<NeverBegan>(OnNeverBegan);
        Receive<Proved>(OnProved);
        Receive<ReplicaProtocol.Settled>(message => message.Then());
        Receive<Tick>(_ => OnTick());
        Receive<AssociatedEvent>(told => connections!.Take(told));
        Receive<DisassociatedEvent>(told => connections!.Take(told));
        Receive<ConnectionBeats.Due>(_ => Beat());
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private static TimeSpan Now => Context.System.Scheduler.HighResMonotonicClock;

    /// <summary>How the replica stands; null before it began, and once it has ended.</summary>
    private ReplicaView? View => end is null ? replica?.View : null;

    private ReplicaIdentity Identity => new(vm, settings.Name, settings.Incarnation);

    /// <summary>Props of the process of a VM.</summary>
    public static Props Props(NodeOptions settings, string vm, IActorRef agent) => Akka.Actor.Props.Create(() => new VmProcessActor(settings, vm, agent));

    /// <summary>A replica whose actor failed is never started again by itself: that would begin its VM anew beside the backup that takes over.</summary>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(failure =>
    {
        log.Error(failure, "{0}: the replica failed and is silent from now on", vm);
        if (failure is ActorInitializationException)
        {
            self.Tell(new NeverBegan(failure.GetBaseException().Message));
        }
        return Directive.Stop;
    });

    /// <inheritdoc/>
    protected override void PreStart()
    {
        TimeSpan interval = settings.Protection.HeartbeatInterval;
        Timers.StartPeriodicTimer(nameof(Tick), new Tick(), interval, interval);
        connections = new ConnectionBeats(Context, Timers, Beat);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        endpoint?.Dispose();
        console.Close();
    }

    private void OnTick()
    {
        Beat();
        AnswerWhatIsDone();
        ProveBackup();
    }

    private void OnViewMoved()
    {
        if (View is { } view)
        {
            agent.Tell(new VmReport.Changed(view));
        }
        AnswerWhatIsDone();
    }

    /// <summary>Does something when the replica has done what was asked of it before; at once if it has ended.</summary>
    private void OnceSettled(Action then)
    {
        if (end is not null || replicaActor is null)
        {
            then();
            return;
        }
        // Nobody answers any more if it ends meanwhile.
        bool isDone = false;
        void Once()
        {
            if (!isDone)
            {
                isDone = true;
                waiting.Remove(Once);
                then();
            }
        }
        waiting.Add(Once);
        replicaActor.Tell(new ReplicaProtocol.Settle(Once));
    }

    private void Obey(VmCommand.Order order)
    {
        if (View is not null)
        {
            switch (order.What)
            {
                case VmOrder.Protect:
                    replica!.Protect(order.Node!);
                    break;
                case VmOrder.Unprotect:
                    replica!.Unprotect();
                    break;
                case VmOrder.Leave:
                default:
                    replica!.Leave();
                    break;
            }
        }
        OnceSettled(() => agent.Tell(new VmReport.Settled(order.Number, View)));
    }

    private void SwitchOff()
    {
        switchedOff = true;
        Context.Stop(replicaActor);
    }

    private void OnEnded(ReplicaEnd ended)
    {
        end = ended;
        foreach (Action then in waiting.ToArray())
        {
            then();
        }
        AnswerWhatIsDone();
        endpoint?.Dispose();
        endpoint = null;
        console.Close();
        log.Info("{0}: the replica is closed: {1}", vm, ended.What);
        if (ended.Reason == HaltReason.MachineEnded || switchedOff)
        {
            NoteEnd(ended.Generation);
        }
        agent.Tell(new VmReport.Ended(ended));
    }

    private void NoteEnd(ulong generation)
    {
        try
        {
            settings.Arbiter.NoteEnd(vm, generation);
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            log.Warning("{0}: its end cannot be noted with the arbiter: {1}", vm, failed.Message);
        }
    }
}
