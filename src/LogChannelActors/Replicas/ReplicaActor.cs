using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Events;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// Supervises one replica of a VM: its mailbox is where everything that happens to the replica comes together, and its children run the machine, live or in
/// replay, and the disks. Lives on a thread of its own, because the time must be kept while the host is busy.
/// </summary>
public sealed class ReplicaActor : ReceiveActor, IReplicaStage
{
    private readonly ReplicaDefinition definition;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly ReplicaShell shell;
    private readonly ReplicaCore core;
    private readonly CopyTarget? copy;
    private readonly List<MachineProtocol.Deliver> operations = [];
    private IActorRef? vm;
    private IActorRef? replay;
    private IActorRef? disks;
    private IActorRef? drainAsker;
    private ICancelable? ticks;
    private bool disksAreOwn;
    private string? endText;
    private HaltReason? endReason;

    /// <summary>A replica.</summary>
    public ReplicaActor(ReplicaDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        this.definition = definition;
        ReplicaSetup setup = definition.Shell.Setup;
        var now = new Instant(definition.Shell.Clock().Ticks);
        if (definition.Offer is { } offer)
        {
            core = ReplicaCore.StartBackup(setup, offer, now);
            copy = new CopyTarget(definition.Machine.CreateMachine(definition.Machine), setup.Protection);
        }
        else
        {
            core = ReplicaCore.StartSolo(setup, definition.Generation, default, now);
        }
        shell = new ReplicaShell(definition.Shell, core, Self, this) { Copy = copy };
        Receive<ReplicaInput.Replayed>(Replayed);
        Receive<ReplicaInput.Received>(received =>
        {
            shell.Handle.Taken(received.Message);
            Step(received);
        });
        Receive<ReplicaInput>(Step);
        Receive<ProtectedMachine.Ready>(shell.MachineReady);
        Receive<RestoredCopy>(shell.Restored);
        Receive<ReplayProtocol.OwnRead>(shell.OwnRead);
        Receive<ReplayProtocol.Released>(_ => OnReplayReleased());
        Receive<ReplicaProtocol.Operate>(message => Operate(new MachineProtocol.Deliver(new Control(message.Operation))));
        Receive<ReplicaProtocol.Settle>(message => Sender.Tell(new ReplicaProtocol.Settled(message.Then)));
        Receive<VmProtocol.AskToDrain>(_ =>
        {
            drainAsker = Sender;
            AllowToDrain();
        });
        Receive<MachineProtocol.Restarted>(message => log.Info("{0}: the machine started again after {1}, at icount {2}", Name, message.Cause, message.Icount));
        Receive<MachineProtocol.Held>(message => log.Warning(
            "{0}: the guest crashed ({1}) at icount {2} and is held, crash {3} in a row; 'ftakka vm reset' starts it again, 'ftakka vm stop' ends it",
            Name, message.Cause, message.Icount, message.CrashesInRow));
        Receive<VmProtocol.Ended>(OnVmEnded);
        Receive<Terminated>(message => OnTerminated(message.ActorRef));
    }

    private string Name => definition.Shell.Setup.Id.Vm;

    /// <summary>Props of a replica.</summary>
    public static Props Props(ReplicaDefinition definition) =>
        Akka.Actor.Props.Create(() => new ReplicaActor(definition)).WithDispatcher(MachineActor.DispatcherId);

    /// <inheritdoc/>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(failure =>
    {
        log.Error(failure, "{0}: an actor of the replica failed", Name);
        return Directive.Stop;
    });

    /// <inheritdoc/>
    protected override void PreStart()
    {
        definition.Created(shell.Handle);
        UseDisks(definition.OwnDisks, own: definition.Offer is not null);
        Step(new ReplicaInput.Begin());
        if (definition.ProtectOn is { } backup)
        {
            Step(new ReplicaInput.Protect(backup));
        }
        ticks = Context.System.Scheduler.ScheduleTellRepeatedlyCancelable(definition.TickInterval, definition.TickInterval, Self, new ReplicaInput.Tick(), Self);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        ticks?.Cancel();
        shell.Handle.CloseFence();
        shell.Handle.End();
        copy?.Release();
        definition.Ended(new ReplicaEnd(endReason, core.Generation, endText ?? "stopped"));
    }

    private void Step(ReplicaInput input)
    {
        shell.Step(input);
        AllowToDrain();
    }

    private void Replayed(ReplicaInput.Replayed replayed)
    {
        if (replayed.Outputs.Count > 0)
        {
            definition.Shell.Replayed?.Invoke(replayed.Outputs);
        }
        Step(replayed);
    }

    /// <summary>What an operator wants of a machine whose devices are not open yet waits for them.</summary>
    private void Operate(MachineProtocol.Deliver operation)
    {
        if (vm is null)
        {
            operations.Add(operation);
        }
        else
        {
            vm.Tell(operation);
        }
    }

    /// <summary>A VM whose machine has ended keeps its devices until they have performed everything that waits here.</summary>
    private void AllowToDrain()
    {
        if (drainAsker is { } asker && !shell.HasOutputsUnderWay)
        {
            drainAsker = null;
            asker.Tell(new VmProtocol.Drain());
        }
    }

    private void UseDisks(ImmutableArray<DeviceDefinition> open, bool own)
    {
        ProtectionOptions protection = definition.Shell.Setup.Protection;
        if (protection.HasSeparateDisks)
        {
            disksAreOwn = own;
            disks = Context.Watch(Context.ActorOf(ReplicaDisksActor.Props(protection.Disks, open), own ? "own-disks" : "disks"));
            shell.Disks = disks;
        }
    }

    void IReplicaStage.OpenDevices(LogPosition position)
    {
        ImmutableArray<DeviceDefinition> devices;
        try
        {
            devices = definition.OpenDevices(shell.Handle);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            Self.Tell(new ReplicaInput.DevicesRefused(refused.Message));
            return;
        }
        var machine = new ProtectedMachine(Self, shell.Handle, definition.Shell, definition.DigestInterval, position, () => copy?.HandOver());
        if (copy is not null)
        {
            log.Info("{0}: live from icount {1} on, generation {2}, log entry {3}", Name, copy.Machine.Icount, core.Generation, position.LastLsn);
        }
        vm = Context.ActorOf(VmActor.Props(new VmDefinition
        {
            Name = Name,
            Machine = definition.Machine with { Existing = copy?.Machine, CreateRunner = machine.Around, Observer = machine },
            Devices = devices,
            OutputsHolder = Self,
            Observers = [Self],
        }), "vm");
        operations.ForEach(Operate);
        operations.Clear();
    }

    void IReplicaStage.StartReplay(LogPosition position)
    {
        replay = Context.Watch(Context.ActorOf(ReplayActor.Props(copy!.Machine, position, definition.Machine.InstructionsPerMillisecond), "replay"));
        shell.ReplayStarted(replay);
    }

    void IReplicaStage.StopReplay()
    {
        Context.Unwatch(replay);
        replay.Tell(new ReplayProtocol.Release());
    }

    /// <summary>All that this replica owes its own disks is done; they are closed, and opened again with the other devices.</summary>
    private void OnReplayReleased()
    {
        replay = null;
        shell.ReplayEnded();
        if (disks is null)
        {
            TellReplayStopped();
        }
        else
        {
            Context.Stop(disks);
        }
    }

    private void TellReplayStopped() => Step(new ReplicaInput.ReplayStopped(
        [.. copy!.Machine.OutstandingDiskRequests.Select(request => new PendingRequest(request.Disk, request.Request))]));

    void IReplicaStage.RoleChanged(ReplicaEffect.RoleChanged changed)
    {
        log.Info("{0}: {1} -> {2}, generation {3}", Name, changed.From, changed.To, changed.Generation);
        if (changed is not { From: ReplicaRole.BackupSyncing, To: ReplicaRole.Backup })
        {
            return;
        }
        try
        {
            definition.Synced();
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            Self.Tell(new ReplicaInput.HostFailed($"The copy cannot be noted as complete: {failed.Message}"));
        }
    }

    void IReplicaStage.Report(string what) => log.Info("{0}: {1}", Name, what);

    void IReplicaStage.Dropped(ReplicaEffect.DropBackup drop)
    {
        log.Warning("{0}: goes on without a backup: {1}", Name, drop.Why);
        definition.Dropped(drop);
    }

    void IReplicaStage.Halted(HaltReason reason, string what) => End(reason, what);

    void IReplicaStage.Failed(Exception mistake)
    {
        log.Error(mistake, "{0}: the replica failed and is silent from now on", Name);
        End(null, $"The replica failed: {mistake.Message}");
    }

    private void OnVmEnded(VmProtocol.Ended message)
    {
        bool byGuest = message.Reason is MachineEndReason.PowerOff or MachineEndReason.Reset or MachineEndReason.TripleFault or MachineEndReason.Panic;
        log.Info("{0}: the machine ended: {1} {2}", Name, message.Reason, message.Detail);
        if (byGuest)
        {
            endText ??= $"the guest ended by {message.Reason}";
        }
        else
        {
            Step(new ReplicaInput.HostFailed($"The machine ended: {message.Reason}. {message.Detail}"));
        }
    }

    private void OnTerminated(IActorRef actor)
    {
        if (actor.Equals(disks) && disksAreOwn && replay is null && ReplicaRoles.IsLive(core.Role))
        {
            UseDisks([], own: false);
            TellReplayStopped();
        }
        else if (actor.Equals(disks))
        {
            Step(new ReplicaInput.HostFailed("The actor of the separate disks failed; the log has the error."));
        }
        else if (actor.Equals(replay))
        {
            Step(new ReplicaInput.HostFailed("Replay failed; the log has the error."));
        }
    }

    private void End(HaltReason? reason, string what)
    {
        (endReason, endText) = (reason, what);
        log.Info("{0}: halted: {1} {2}", Name, reason?.ToString() ?? "failure", what);
        // Not in order: what a halted replica's devices still hold must not reach the outside.
        Context.Stop(Self);
    }
}
