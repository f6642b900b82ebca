using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Actors.Protection;

/// <summary>Everything a <see cref="ReplicaActor"/> needs.</summary>
public sealed record ReplicaDefinition
{
    /// <summary>What the shell works with; its <see cref="ReplicaShellOptions.Tell"/> is replaced.</summary>
    public required ReplicaShellOptions Shell { get; init; }

    /// <summary>The machine. Its limit of instructions holds in replay as well.</summary>
    public required MachineOptions Machine { get; init; }

    /// <summary>Opens the devices when the replica is live: not before, since the other replica has them.</summary>
    public required Func<ReplicaShell, ImmutableArray<DeviceDefinition>> OpenDevices { get; init; }

    /// <summary>
    /// Instructions between digests in the log. Each digest hashes the pages written since the one before, and makes the next store to each
    /// of them a miss: a guest that writes much pays for short intervals.
    /// </summary>
    public ulong DigestInterval { get; init; } = DefaultDigestInterval;

    /// <summary>A few hundred milliseconds of a busy guest.</summary>
    public const ulong DefaultDigestInterval = 500_000_000;

    /// <summary>How often the shell is told that time passes.</summary>
    public TimeSpan TickInterval { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>For a primary: the generation the arbiter has granted. 0 for a backup.</summary>
    public ulong Generation { get; init; }

    /// <summary>For a primary: the node that gets its backup as soon as there is a machine to copy; null for none.</summary>
    public string? ProtectOn { get; init; }

    /// <summary>For a backup: the offer it has accepted.</summary>
    public CloneOffer? Offer { get; init; }

    /// <summary>For a backup: its separate disks, opened. The replica closes them.</summary>
    public ImmutableArray<DeviceDefinition> OwnDisks { get; init; } = [];

    /// <summary>Given the shell as soon as there is one.</summary>
    public required Action<ReplicaShell> Created { get; init; }

    /// <summary>Told when a backup is complete: it could take over. An <see cref="IOException"/> ends the replica.</summary>
    public Action Synced { get; init; } = () => { };

    /// <summary>Told when a live replica goes on without its backup.</summary>
    public Action<ReplicaEvents.BackupDropped> Dropped { get; init; } = _ => { };

    /// <summary>Told of the end, once: the replica's devices are closed.</summary>
    public required Action<ReplicaEnd> Ended { get; init; }
}

/// <summary>Why a replica is no more.</summary>
/// <param name="Reason">Why it halted; null if it failed.</param>
/// <param name="Generation">The generation it belonged to.</param>
/// <param name="What">For people.</param>
public sealed record ReplicaEnd(HaltReason? Reason, ulong Generation, string What);

/// <summary>Messages of <see cref="ReplicaActor"/>.</summary>
public static class ReplicaProtocol
{
    /// <summary>Operator to a live replica: deliver this to the machine; in a protected VM the log carries it to the backup. Not answered.</summary>
    public sealed record Operate(ControlOperation Operation);
}

/// <summary>
/// Supervises one replica of a VM: runs its machine live or in replay, opens its devices when it goes live, and keeps its shell's time. Lives
/// on a thread of its own, because the time must be kept while the host is busy.
/// </summary>
public sealed class ReplicaActor : ReceiveActor, IWithTimers
{
    private sealed record Tick;

    private sealed record OpenDevicesAgain(MachineOptions Machine);

    private static readonly TimeSpan DeviceRetry = TimeSpan.FromMilliseconds(50);

    private const int DeviceTriesMax = 1200;

    private readonly ReplicaDefinition definition;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private ReplicaShell? shell;
    private IActorRef? vm;
    private IActorRef? replay;
    private IActorRef? disks;
    private GuestMachine? taken;
    private GoLivePlan? plan;
    private ICancelable? ticks;
    private int devicesRefused;
    private string? endText;
    private HaltReason? endReason;

    /// <summary>A replica.</summary>
    public ReplicaActor(ReplicaDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        this.definition = definition;
        Receive<Tick>(_ => shell!.Tick());
        Receive<OpenDevicesAgain>(message => StartVm(message.Machine));
        Receive<ReplicaEvents.Reported>(message => log.Info("{0}: {1}", Name, message.What));
        Receive<ReplicaEvents.RoleChanged>(message =>
        {
            log.Info("{0}: {1} -> {2}, generation {3}", Name, message.From, message.To, message.Generation);
            if (message is { From: ReplicaRole.BackupSyncing, To: ReplicaRole.Backup })
            {
                NoteSynced();
            }
        });
        Receive<ReplicaEvents.BackupDropped>(message =>
        {
            log.Warning("{0}: goes on without a backup: {1}", Name, message.Why);
            definition.Dropped(message);
        });
        Receive<ReplicaEvents.ReplayFrom>(StartReplay);
        Receive<ReplicaEvents.GoLive>(StopReplay);
        Receive<ReplayProtocol.Released>(message => GoLive(message.Machine));
        Receive<ReplicaEvents.Halted>(message => End(message.Reason, message.What));
        Receive<ReplicaEvents.CopyFailed>(message => End(null, message.Why));
        Receive<ReplicaEvents.Failed>(message =>
        {
            log.Error(message.Mistake, "{0}: the replica failed and is silent from now on", Name);
            End(null, $"The replica failed: {message.Mistake.Message}");
        });
        Receive<ReplicaProtocol.Operate>(message => vm?.Tell(new MachineProtocol.Deliver(new Control(message.Operation))));
        Receive<VmProtocol.Ended>(OnVmEnded);
        Receive<Terminated>(message => OnTerminated(message.ActorRef));
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private string Name => definition.Shell.Id.Vm;

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
        IActorRef self = Self;
        ReplicaShellOptions options = definition.Shell with { Tell = self.Tell };
        if (definition.Offer is { } offer)
        {
            shell = ReplicaShell.StartBackup(options, offer, definition.Machine.CreateMachine(definition.Machine));
            definition.Created(shell);
            UseDisks(definition.OwnDisks);
            shell.Received(offer);
        }
        else
        {
            shell = ReplicaShell.StartSolo(options, definition.Generation);
            definition.Created(shell);
            UseDisks([]);
            if (definition.ProtectOn is { } backup)
            {
                shell.Protect(backup);
            }
            StartVm(definition.Machine);
        }
        ticks = Context.System.Scheduler.ScheduleTellRepeatedlyCancelable(definition.TickInterval, definition.TickInterval, Self, new Tick(), Self);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        ticks?.Cancel();
        shell?.Die();
        shell?.Release();
        definition.Ended(new ReplicaEnd(endReason, shell?.View().Status.Generation ?? definition.Generation, endText ?? "stopped"));
    }

    private void UseDisks(ImmutableArray<DeviceDefinition> own)
    {
        ProtectionOptions protection = definition.Shell.Protection;
        if (protection.HasSeparateDisks)
        {
            disks = Context.ActorOf(ReplicaDisksActor.Props(shell!, protection.Disks, own), own.IsEmpty ? "disks" : "own-disks");
            Context.Watch(disks);
            shell!.UseDisks(disks);
        }
    }

    private void StartVm(MachineOptions machine)
    {
        ReplicaShell running = shell!;
        ImmutableArray<DeviceDefinition> devices;
        try
        {
            devices = definition.OpenDevices(running);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            DevicesRefused(machine, refused.Message);
            return;
        }
        vm = Context.Watch(Context.ActorOf(VmActor.Props(new VmDefinition
        {
            Name = Name,
            Machine = machine with
            {
                CreateRunner = guest => running.CreateRunner(guest, definition.DigestInterval),
                Observer = running,
            },
            Devices = devices,
            HasOutputsUnderWay = () => running.HasOutputsUnderWay,
            Observers = [Self],
        }), "vm"));
    }

    /// <summary>
    /// A VM that starts here is refused. One that has just been taken over has nobody else to run it: the former primary's host may still hold a
    /// network or a disk, so the devices are tried again.
    /// </summary>
    private void DevicesRefused(MachineOptions machine, string why)
    {
        if (machine.Existing is null || ++devicesRefused > DeviceTriesMax)
        {
            shell!.Die();
            End(null, $"The devices cannot be opened: {why}");
            return;
        }
        log.Warning("{0}: the devices cannot be opened, trying again: {1}", Name, why);
        Timers.StartSingleTimer(nameof(OpenDevicesAgain), new OpenDevicesAgain(machine), DeviceRetry);
    }

    private void StartReplay(ReplicaEvents.ReplayFrom message)
    {
        replay = Context.Watch(Context.ActorOf(ReplayActor.Props(message.Machine, message.Position, shell!, definition.Machine.InstructionsPerMillisecond), "replay"));
        shell!.ReplayStarted(replay);
    }

    private void NoteSynced()
    {
        try
        {
            definition.Synced();
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            shell!.Die();
            End(null, $"The copy cannot be noted as complete: {failed.Message}");
        }
    }

    private void StopReplay(ReplicaEvents.GoLive message)
    {
        plan = message.Plan;
        Context.Unwatch(replay);
        replay.Tell(new ReplayProtocol.Release());
    }

    private void GoLive(GuestMachine machine)
    {
        replay = null;
        shell!.ReplayStopped();
        log.Info("{0}: live from icount {1} on, generation {2}, log entry {3}", Name, machine.Icount, plan!.Generation, plan.Position.LastLsn);
        if (disks is null)
        {
            StartVm(definition.Machine with { Existing = machine });
            return;
        }
        // All that this replica owes its own disks is done; they are opened again with the other devices.
        taken = machine;
        Context.Stop(disks);
    }

    private void OnVmEnded(VmProtocol.Ended message)
    {
        bool byGuest = message.Reason is MachineEndReason.PowerOff or MachineEndReason.Reset or MachineEndReason.TripleFault;
        log.Info("{0}: the machine ended: {1} {2}", Name, message.Reason, message.Detail);
        if (!byGuest)
        {
            // Silence lets the backup take over, if there is one.
            shell!.Die();
            End(null, $"The machine ended: {message.Reason}. {message.Detail}");
        }
        else
        {
            endText ??= $"the guest ended by {message.Reason}";
        }
    }

    private void OnTerminated(IActorRef actor)
    {
        if (actor.Equals(disks) && taken is { } machine)
        {
            taken = null;
            UseDisks([]);
            StartVm(definition.Machine with { Existing = machine });
        }
        else if (actor.Equals(disks))
        {
            shell!.Die();
            End(null, "The actor of the separate disks failed; the log has the error.");
        }
        if (actor.Equals(replay))
        {
            shell!.Die();
            End(null, "Replay failed; the log has the error.");
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
