using Akka.Actor;
using Akka.Event;
using FtAkka.Machine;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Machines;

/// <summary>
/// Runs a machine: owns it, executes it in quanta of a fraction of a millisecond, delivers what devices and operators send between quanta, lets the
/// guest's clock follow the host's, and sends what leaves the machine to the devices unless its observer does. Each quantum is a message of the actor to itself, so that
/// the mailbox and execution take turns; on a pinned dispatcher it disturbs no other actor. All time comes from the system's scheduler.
/// </summary>
public sealed class MachineActor : ReceiveActor
{
    /// <summary>Name in the configuration of the dispatcher this actor belongs on.</summary>
    public const string DispatcherId = "machine-dispatcher";

    /// <summary>A busy guest's clock is advanced when it is behind by this much.</summary>
    private static readonly TimeSpan AdvanceAfter = TimeSpan.FromMilliseconds(0.9);

    private sealed record RunQuantum(ulong Turn);

    private readonly MachineOptions options;
    private readonly DeviceLinks devices;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly IScheduler scheduler = Context.System.Scheduler;
    private readonly ExecutionPace pace = new();
    private readonly MachineTally tally = new();
    private readonly HeldConsoleInput consoleInput = new();
    private readonly ConsoleBacklog consoleOutput = new();
    private IMachineRunner? runner;
    private GuestClock? clock;
    private MachinePhase phase = MachinePhase.Running;
    private ICancelable? wake;
    private ulong turn;
    private TimeSpan startedAt;
    private TimeSpan advancedAt;
    private ulong nextDigest;

    /// <summary>A machine with these devices.</summary>
    public MachineActor(MachineOptions options, IEnumerable<DeviceLink> devices)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.options = options;
        this.devices = new DeviceLinks(devices);
        nextDigest = options.DigestEvery;
        Receive<RunQuantum>(message =>
        {
            if (message.Turn == turn)
            {
                Run();
            }
        });
        Receive<MachineProtocol.Deliver>(message => Deliver(message.Input));
        Receive<MachineProtocol.SetShare>(message => SetShare(message.Percent));
        Receive<MachineProtocol.Inspect>(message =>
        {
            if (runner is not null)
            {
                message.Look(runner);
            }
        });
        Receive<MachineProtocol.Run>(_ =>
        {
            if (phase == MachinePhase.Waiting)
            {
                RunNext();
            }
        });
        Receive<MachineProtocol.Stop>(_ => End(MachineEndReason.Stopped, null));
        ReceiveAny(HearDevice);
    }

    /// <summary>Props of a machine with these devices, on the dispatcher for machines.</summary>
    public static Props Props(MachineOptions options, IReadOnlyList<DeviceLink> devices) =>
        Akka.Actor.Props.Create(() => new MachineActor(options, devices)).WithDispatcher(DispatcherId);

    private TimeSpan Now => scheduler.HighResMonotonicClock;

    /// <inheritdoc/>
    protected override void PreStart()
    {
        startedAt = Now;
        if (Build() is { } failure)
        {
            phase = MachinePhase.Ended;
            Context.Parent.Tell(new MachineProtocol.Ended(MachineEndReason.StartFailed, failure, null));
            return;
        }
        pace.SetLimit(options.InstructionsPerMillisecond, startedAt);
        foreach (DeviceLink device in devices.All)
        {
            if (device.Dialect.Greeting is { } greeting)
            {
                device.Actor.Tell(greeting);
            }
        }
        if (options.Observer is { } observer)
        {
            phase = MachinePhase.Waiting;
            observer.Started(Self, runner!.Machine, devices.All);
        }
        else
        {
            RunNext();
        }
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        wake?.Cancel();
        GuestMachine? machine = runner?.Machine;
        // A runner that records has its last entries to write, and needs the machine for it.
        (runner as IDisposable)?.Dispose();
        machine?.Dispose();
    }

    /// <summary>Builds the machine and loads the kernel. Returns null, or what is wrong.</summary>
    private string? Build()
    {
        if (options.Config.FindError() is { } wrong)
        {
            return wrong;
        }
        GuestMachine machine;
        if (options.Existing is { } existing)
        {
            runner = options.CreateRunner(existing);
            clock = new GuestClock(options.Config.TscHz, existing.Tsc, startedAt);
            return null;
        }
        try
        {
            machine = options.CreateMachine(options);
        }
        catch (Exception refused) when (refused is InvalidOperationException or ArgumentException)
        {
            return refused.Message;
        }
        if (machine.LoadLinux(options.Kernel, options.Initrd) is BootError error)
        {
            machine.Dispose();
            return error.Message;
        }
        runner = options.CreateRunner(machine);
        ulong fraction = (ulong)(options.BootSecondFraction.TotalSeconds * options.Config.TscHz);
        clock = new GuestClock(options.Config.TscHz, Math.Max(machine.Tsc, fraction), startedAt);
        if (clock.TscAt(startedAt) is var tsc && tsc > machine.Tsc)
        {
            Inject(new ClockAdvance(tsc));
        }
        advancedAt = startedAt;
        return null;
    }

    private void RunNext()
    {
        phase = MachinePhase.Running;
        Self.Tell(new RunQuantum(++turn));
    }

    private void Run()
    {
        if (consoleOutput.IsFull)
        {
            phase = MachinePhase.Blocked;
            return;
        }
        TimeSpan begin = Now;
        if (phase == MachinePhase.Idle || begin - advancedAt >= AdvanceAfter)
        {
            AdvanceClock(begin);
        }
        phase = MachinePhase.Running;
        DeliverHeldConsoleInput();
        ulong budget = Math.Min(pace.Budget(begin), InstructionsToNextStop());
        if (budget == 0)
        {
            phase = MachinePhase.Throttled;
            if (pace.Limit != 0)
            {
                WakeAfter(ExecutionPace.AllowanceWait);
            }
            return;
        }
        ulong icount = runner!.Machine.Icount;
        MachineExit exit = runner.Run(budget);
        TimeSpan elapsed = Now - begin;
        pace.Ran(exit.Icount - icount, elapsed);
        tally.Ran(exit.Reason, elapsed);
        if (options.ActorPerformsOutputs)
        {
            Perform(exit.Effects);
        }
        TellOfRestarts(exit.Effects);
        TakeDueDigest();
        GoOn(exit);
    }

    /// <summary>A protected machine as well: its backup does the same, and this is no output that has to wait for it.</summary>
    private static void TellOfRestarts(IReadOnlyList<MachineEffect> effects)
    {
        foreach (MachineEffect effect in effects)
        {
            switch (effect)
            {
                case MachineRestarted again:
                    Context.Parent.Tell(new MachineProtocol.Restarted(EndReasonOf(again.Cause), again.Icount));
                    break;
                case MachineHeld held:
                    Context.Parent.Tell(new MachineProtocol.Held(EndReasonOf(held.Cause), held.CrashesInRow, held.Icount));
                    break;
                default:
                    break;
            }
        }
    }

    private static MachineEndReason EndReasonOf(MachineExitReason reason) => reason switch
    {
        MachineExitReason.PowerOff => MachineEndReason.PowerOff,
        MachineExitReason.Reset => MachineEndReason.Reset,
        MachineExitReason.Panic => MachineEndReason.Panic,
        _ => MachineEndReason.TripleFault,
    };

    private void GoOn(MachineExit exit)
    {
        switch (exit.Reason)
        {
            case MachineExitReason reason when reason.IsFinal():
                End(EndReasonOf(reason), null);
                break;
            case MachineExitReason.Debug:
                End(MachineEndReason.Failed, $"The CPU stopped for a debugger at icount {exit.Icount}, and there is none.");
                break;
            case MachineExitReason.Held:
                Sleep(timerTsc: null);
                break;
            case MachineExitReason.Idle when exit.Icount != options.IcountMax || options.IcountMax == 0:
                Sleep(exit.NextTimerTsc);
                break;
            default:
                if (options.IcountMax != 0 && exit.Icount >= options.IcountMax)
                {
                    End(MachineEndReason.IcountMax, null);
                }
                else
                {
                    RunNext();
                }
                break;
        }
    }

    private ulong InstructionsToNextStop()
    {
        ulong icount = runner!.Machine.Icount;
        ulong toDigest = options.DigestEvery == 0 ? ulong.MaxValue : nextDigest - icount;
        ulong toEnd = options.IcountMax == 0 ? ulong.MaxValue : options.IcountMax - icount;
        return Math.Min(toDigest, toEnd);
    }

    private void TakeDueDigest()
    {
        if (options.DigestEvery != 0 && runner!.Machine.Icount == nextDigest)
        {
            Context.Parent.Tell(new MachineProtocol.DigestTaken(runner.Machine.ComputeDigest()));
            nextDigest += options.DigestEvery;
        }
    }

    /// <summary>The guest halts: nothing happens until its timer is due or an input arrives.</summary>
    private void Sleep(ulong? timerTsc)
    {
        phase = MachinePhase.Idle;
        if (!consoleInput.IsEmpty && runner!.Machine.ConsoleInputRoomBytes > 0)
        {
            RunNext();
        }
        else if (timerTsc is { } due)
        {
            TimeSpan wait = clock!.Until(due, Now);
            if (wait == TimeSpan.Zero)
            {
                AdvanceClock(Now);
                RunNext();
            }
            else
            {
                WakeAfter(wait);
            }
        }
    }

    private void WakeAfter(TimeSpan wait)
    {
        wake?.Cancel();
        // Timers have a limited range, and waking for nothing once an hour harms nobody.
        TimeSpan bounded = wait > TimeSpan.FromHours(1) ? TimeSpan.FromHours(1) : wait;
        wake = scheduler.ScheduleTellOnceCancelable(bounded, Self, new RunQuantum(++turn), Self);
    }

    private void Deliver(InputEvent input)
    {
        if (runner is null || phase == MachinePhase.Ended)
        {
            return;
        }
        if (input is ConsoleInput typed)
        {
            consoleInput.Add(typed, receipt: null);
        }
        else
        {
            // Its clock first: a halted guest must not see the moment of its last instruction as the moment of the input.
            WakeIfIdle();
            Inject(input);
            return;
        }
        WakeIfIdle();
    }

    private void WakeIfIdle()
    {
        if (phase == MachinePhase.Idle)
        {
            wake?.Cancel();
            AdvanceClock(Now);
            RunNext();
        }
    }

    private void Inject(InputEvent input)
    {
        runner!.Inject(input);
        tally.Delivered(input);
    }

    private void DeliverHeldConsoleInput()
    {
        while (consoleInput.TryTake(runner!.Machine.ConsoleInputRoomBytes, out ConsoleInput? piece, out Action? receipt))
        {
            Inject(piece);
            receipt?.Invoke();
        }
    }

    private void AdvanceClock(TimeSpan now)
    {
        GuestMachine machine = runner!.Machine;
        ulong tsc = clock!.TscAt(now);
        advancedAt = now;
        if (tsc > machine.Tsc)
        {
            if (phase == MachinePhase.Running)
            {
                tally.ClockWasBehind(TimeSpan.FromSeconds((double)(tsc - machine.Tsc) / options.Config.TscHz));
            }
            Inject(new ClockAdvance(tsc));
        }
    }

    private void Perform(IReadOnlyList<MachineEffect> effects)
    {
        foreach (MachineEffect effect in DeviceLinks.JoinConsoleOutput(effects))
        {
            if (devices.For(effect) is { } device)
            {
                tally.Performed(effect);
                if (effect is ConsoleOutput output)
                {
                    consoleOutput.Sent(output);
                }
                device.Actor.Tell(device.Dialect.ToDevice(effect));
            }
        }
    }

    private void HearDevice(object message)
    {
        if (devices.Of(Sender) is not { } device || device.Dialect.ToMachine(message) is not { } news)
        {
            Unhandled(message);
            return;
        }
        options.Observer?.Heard(device, news);
        if (news.ConsoleTakenTo is { } position)
        {
            HearTaken((ConsoleKind)device.Index, position);
        }
        IActorRef actor = device.Actor;
        ConsoleInput[] typed = [.. news.Inputs.OfType<ConsoleInput>()];
        foreach (InputEvent input in news.Inputs)
        {
            if (input is not ConsoleInput)
            {
                Deliver(input);
            }
        }
        for (int i = 0; i < typed.Length; i++)
        {
            consoleInput.Add(typed[i], i == typed.Length - 1 && news.Receipt is { } taken ? () => actor.Tell(taken, Self) : null);
        }
        if (typed.Length == 0 && news.Receipt is { } receipt)
        {
            actor.Tell(receipt);
        }
        if (typed.Length > 0)
        {
            WakeIfIdle();
        }
        if (news.LeaveRequested)
        {
            End(MachineEndReason.LeaveRequested, null);
        }
    }

    private void HearTaken(ConsoleKind console, ulong position)
    {
        consoleOutput.Taken(console, position);
        if (phase == MachinePhase.Blocked && !consoleOutput.IsFull)
        {
            RunNext();
        }
    }

    private void SetShare(int percent)
    {
        pace.SetShare(percent, Now);
        if (phase == MachinePhase.Throttled)
        {
            wake?.Cancel();
            RunNext();
        }
    }

    private void End(MachineEndReason reason, string? detail)
    {
        if (phase == MachinePhase.Ended || runner is null)
        {
            return;
        }
        phase = MachinePhase.Ended;
        wake?.Cancel();
        turn++;
        log.Debug("The machine ended at icount {0}: {1} {2}", runner.Machine.Icount, reason, detail);
        Context.Parent.Tell(new MachineProtocol.Ended(reason, detail, tally.Report(runner.Machine, Now - startedAt)));
    }
}
