using FtAkka.Machine.Events;

namespace FtAkka.Machine;

/// <summary>Input events.</summary>
public sealed partial class GuestMachine
{
    private readonly record struct ScheduledInput(ulong Icount, InputEvent Input);

    private readonly Queue<ScheduledInput> scheduled = new();
    private ulong lastScheduledIcount;

    /// <summary>Scheduled events not yet delivered.</summary>
    public int ScheduledInputCount => scheduled.Count;

    /// <summary>Events that no device took: for a disk or NIC that is not there, or a completion nobody waits for.</summary>
    public ulong RefusedInputCount { get; private set; }

    private ulong? NextScheduledIcount => scheduled.TryPeek(out var next) ? next.Icount : null;

    /// <summary>Delivers an event now.</summary>
    /// <returns>The icount it belongs to in the log.</returns>
    /// <exception cref="InvalidOperationException">Scheduled events wait: a machine either replays or is live.</exception>
    public ulong Inject(InputEvent input)
    {
        if (scheduled.Count > 0)
            throw new InvalidOperationException("An event was injected into a machine that still has scheduled events to replay.");
        Deliver(input);
        return cpu.Icount;
    }

    /// <summary>Schedules an event for delivery at exactly <paramref name="icount"/>. Events of the same icount are delivered in the order of the calls.</summary>
    /// <returns>False if that icount has passed, lies before an event already scheduled, or too many are waiting.</returns>
    public bool TrySchedule(ulong icount, InputEvent input)
    {
        if (icount < cpu.Icount || icount < lastScheduledIcount || scheduled.Count >= config.Limits.ScheduledInputsMax)
            return false;
        lastScheduledIcount = icount;
        scheduled.Enqueue(new ScheduledInput(icount, input));
        return true;
    }

    private void DeliverDueInputs()
    {
        while (NextScheduledIcount == cpu.Icount)
            Deliver(scheduled.Dequeue().Input);
    }

    private void Deliver(InputEvent input)
    {
        if (ended is not null)
            return;
        switch (input)
        {
            case ConsoleInput { Console: ConsoleKind.Serial } console:
                uart.Receive(console.Bytes.AsSpan());
                break;
            case ClockAdvance advance:
                clock.AdvanceTo(cpu.Icount, advance.Tsc);
                break;
            case Control control:
                Perform(control.Operation);
                break;
            default:
                if (!plugged.Exists(device => device.TryDeliver(input)))
                    RefusedInputCount++;
                break;
        }
        // An advance may have passed the timer's moment: it expires before the next event, on every replica.
        TakeDueTimer();
    }

    private void Perform(ControlOperation operation)
    {
        switch (operation)
        {
            case ControlOperation.PowerOff:
                End(MachineExitReason.PowerOff);
                break;
            case ControlOperation.Reset:
                End(MachineExitReason.Reset);
                break;
            case ControlOperation.Nmi:
                cpu.RaiseNmi();
                break;
            default:
                RefusedInputCount++;
                break;
        }
    }
}
