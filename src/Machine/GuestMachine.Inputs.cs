using FtAkka.Machine.Events;

namespace FtAkka.Machine;

/// <summary>Input events.</summary>
public sealed partial class GuestMachine
{
    /// <summary>Events that no device took: for a disk or NIC that is not there, or a completion nobody waits for.</summary>
    public ulong RefusedInputCount { get; private set; }

    /// <summary>Delivers an event now.</summary>
    /// <returns>The icount it belongs to in the log.</returns>
    public ulong Inject(InputEvent input)
    {
        // A held machine's devices live on: what was under way when the guest crashed ends in order, and an operator may reset it.
        if (ended?.IsFinal() == true)
            return cpu.Icount;
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
        return cpu.Icount;
    }

    private void Perform(ControlOperation operation)
    {
        switch (operation)
        {
            case ControlOperation.PowerOff:
                End(MachineExitReason.PowerOff);
                break;
            case ControlOperation.Reset when PolicyOf(MachineExitReason.Reset) == EndPolicy.Restart:
                crashesInRow = 0;
                Restart(MachineExitReason.Reset);
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
