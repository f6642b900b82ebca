using Akka.Actor;
using Akka.Event;
using FtAkka.Actors.Machines;

namespace FtAkka.Actors.Vms;

/// <summary>
/// Supervises one VM: starts its devices, then its machine; when the machine ends or a device is lost, stops them in an order in which
/// nothing that was output is lost, tells the observers, and stops itself. Nothing is restarted: a machine that lost its state, or a disk
/// that lost requests, is no longer what its guest believes.
/// </summary>
public sealed class VmActor : ReceiveActor, IWithTimers
{
    /// <summary>How long devices may take to finish what they were given, such as console output that nobody reads.</summary>
    public static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(5);

    private sealed record DrainTimedOut;

    private readonly VmDefinition definition;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly List<(IActorRef Actor, DeviceDefinition Definition)> devices = [];
    private readonly List<IActorRef> draining = [];
    private readonly List<IActorRef> alive = [];
    private IActorRef? machine;
    private MachineProtocol.Ended? end;

    /// <summary>A VM.</summary>
    public VmActor(VmDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        this.definition = definition;
        Receive<MachineProtocol.Ended>(OnMachineEnded);
        Receive<MachineProtocol.DigestTaken>(message => TellObservers(message));
        Receive<MachineProtocol.Restarted>(message => TellObservers(message));
        Receive<MachineProtocol.Held>(message => TellObservers(message));
        Receive<VmProtocol.Drain>(_ => StopMachineAndDrain());
        Receive<DrainTimedOut>(_ => OnDrainTimedOut());
        Receive<Terminated>(message => OnTerminated(message.ActorRef));
        ReceiveAny(message =>
        {
            if (draining.Contains(Sender))
            {
                OnDrained(Sender);
            }
            else
            {
                machine!.Forward(message);
            }
        });
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Props of a VM.</summary>
    public static Props Props(VmDefinition definition) => Akka.Actor.Props.Create(() => new VmActor(definition));

    /// <inheritdoc/>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(failure =>
    {
        log.Error(failure, "An actor of the VM failed");
        return Directive.Stop;
    });

    /// <inheritdoc/>
    protected override void PreStart()
    {
        foreach (DeviceDefinition device in definition.Devices)
        {
            IActorRef actor = Context.Watch(Context.ActorOf(device.Props, device.Name));
            devices.Add((actor, device));
            alive.Add(actor);
        }
        DeviceLink[] links = [.. devices.Select(device =>
            new DeviceLink(device.Definition.Kind, device.Definition.Index, device.Actor, device.Definition.Dialect))];
        machine = Context.Watch(Context.ActorOf(MachineActor.Props(definition.Machine, links), "machine"));
        alive.Add(machine);
    }

    private void OnMachineEnded(MachineProtocol.Ended message)
    {
        if (end is not null)
        {
            return;
        }
        end = message;
        if (definition.OutputsHolder is { } holder)
        {
            holder.Tell(new VmProtocol.AskToDrain());
        }
        else
        {
            StopMachineAndDrain();
        }
    }

    /// <summary>The machine actor, which the devices answer to, stays until they have what the machine said.</summary>
    private void StopMachineAndDrain()
    {
        Context.Stop(machine);
        Drain();
    }

    /// <summary>Devices get the request behind all outputs of the machine, which have been sent to them before.</summary>
    private void Drain()
    {
        foreach ((IActorRef actor, DeviceDefinition device) in devices)
        {
            if (device.DrainRequest is { } request && alive.Contains(actor))
            {
                draining.Add(actor);
                actor.Tell(request);
            }
        }
        Timers.StartSingleTimer(nameof(DrainTimedOut), new DrainTimedOut(), DrainTime);
        StopDrainedDevices();
    }

    private void OnDrained(IActorRef device)
    {
        draining.Remove(device);
        StopDrainedDevices();
    }

    private void OnDrainTimedOut()
    {
        if (draining.Count > 0)
        {
            log.Warning("{0} did not finish within {1} s and is stopped", string.Join(", ", draining.Select(actor => actor.Path.Name)), DrainTime.TotalSeconds);
            draining.Clear();
            StopDrainedDevices();
        }
    }

    private void StopDrainedDevices()
    {
        foreach ((IActorRef actor, _) in devices)
        {
            if (!draining.Contains(actor))
            {
                // Behind the outputs in its mailbox, not before them.
                actor.Tell(PoisonPill.Instance);
            }
        }
    }

    private void OnTerminated(IActorRef actor)
    {
        alive.Remove(actor);
        draining.Remove(actor);
        if (end is null)
        {
            bool isMachine = actor.Equals(machine);
            end = new MachineProtocol.Ended(
                isMachine ? MachineEndReason.Failed : MachineEndReason.DeviceFailed,
                isMachine ? "The machine actor failed; the log has the error." : $"The device {actor.Path.Name} failed; the log has the error.",
                null);
            Context.Stop(machine);
            Drain();
        }
        if (alive.Count == 0)
        {
            TellObservers(new VmProtocol.Ended(definition.Name, end.Reason, end.Detail, end.Report));
            Context.Stop(Self);
        }
    }

    private void TellObservers(object message)
    {
        foreach (IActorRef observer in definition.Observers)
        {
            observer.Tell(message);
        }
    }
}
