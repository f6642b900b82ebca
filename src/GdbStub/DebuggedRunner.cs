using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;

namespace FtAkka.GdbStub;

/// <summary>
/// Runs a live machine under a debugger, which works on a thread of its own. Starts halted, before the first instruction. While the debugger has the
/// machine halted, it executes nothing, and its devices and clock go on: real time does not stop for a debugger.
/// </summary>
internal sealed class DebuggedRunner : IMachineRunner, IDebugTarget, IDisposable
{
    /// <summary>A halted machine's actor looks into its mailbox this often.</summary>
    private static readonly TimeSpan HaltedWait = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan InterruptWait = TimeSpan.FromMilliseconds(20);

    private readonly object gate = new();
    private readonly GuestMachine machine;
    private readonly Func<bool> interrupted;
    private readonly Action kill;
    private readonly WatchedBytes watched = new();
    private bool halted = true;
    private bool killed;
    private bool stepping;
    private DebugStop? stop;
    private bool ended;

    /// <param name="machine">The machine.</param>
    /// <param name="interrupted">Asked by the debugger's thread whether Ctrl-C was pressed.</param>
    /// <param name="kill">Ends the VM.</param>
    public DebuggedRunner(GuestMachine machine, Func<bool> interrupted, Action kill)
    {
        this.machine = machine;
        this.interrupted = interrupted;
        this.kill = kill;
    }

    /// <inheritdoc/>
    public GuestMachine Machine => machine;

    /// <inheritdoc/>
    public CpuRegisters Registers => Locked(() => machine.Vcpu!.ReadRegisters());

    /// <inheritdoc/>
    public ulong Icount => Locked(() => machine.Icount);

    /// <inheritdoc/>
    public bool CanReverse => false;

    /// <inheritdoc/>
    public string? WhyReadOnly => null;

    /// <inheritdoc/>
    public MachineExit Run(ulong maxInstructions)
    {
        lock (gate)
        {
            if (halted)
            {
                Monitor.Wait(gate, HaltedWait);
            }
            if (halted)
            {
                return new MachineExit(MachineExitReason.BudgetSpent, machine.Icount, null, []);
            }
            ulong before = machine.Icount;
            MachineExit exit = machine.Run(stepping ? 1 : maxInstructions);
            if (exit.Reason.IsFinal())
            {
                End();
                return exit;
            }
            DebugStop? reached = machine.Vcpu!.TakeHostWatchHit() is { } hit ? watched.StopOf(hit)
                : exit.Reason == MachineExitReason.Debug ? new DebugStop(DebugStopKind.Breakpoint)
                : exit.Reason == MachineExitReason.Held ? new DebugStop(DebugStopKind.Crash)
                : stepping && exit.Icount > before ? new DebugStop(DebugStopKind.Step)
                : null;
            if (reached is { } why)
            {
                Halt(why);
            }
            // A held machine's actor would sleep, and not hear of the debugger's next command.
            return exit.Reason is MachineExitReason.Debug or MachineExitReason.Held ? exit with { Reason = MachineExitReason.BudgetSpent } : exit;
        }
    }

    /// <inheritdoc/>
    public void Inject(InputEvent input)
    {
        lock (gate)
        {
            machine.Inject(input);
        }
    }

    /// <inheritdoc/>
    public int ReadMemory(ulong address, Span<byte> destination)
    {
        lock (gate)
        {
            return LinearMemory.Read(machine, address, destination);
        }
    }

    /// <inheritdoc/>
    public bool WriteMemory(ulong address, ReadOnlySpan<byte> source)
    {
        lock (gate)
        {
            return LinearMemory.Write(machine, address, source);
        }
    }

    /// <inheritdoc/>
    public void WriteRegister(int number, ulong value)
    {
        lock (gate)
        {
            machine.Vcpu!.WriteRegister(number, value);
        }
    }

    /// <inheritdoc/>
    public bool SetStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<LinearWatchpoint> watchpoints)
    {
        lock (gate)
        {
            if (ended)
            {
                return true;
            }
            if (!watched.TrySet(machine, watchpoints))
            {
                return false;
            }
            // A copy: the debugger changes its set while the machine runs with this one.
            machine.Vcpu!.SetHostStops(new SortedSet<ulong>(breakpoints), watched.Physical);
            return true;
        }
    }

    /// <inheritdoc/>
    public DebugStop Step() => Go(oneStep: true);

    /// <inheritdoc/>
    public DebugStop Continue() => Go(oneStep: false);

    /// <inheritdoc/>
    public DebugStop ReverseStep() => throw new InvalidOperationException("A live machine does not go back.");

    /// <inheritdoc/>
    public DebugStop ReverseContinue() => throw new InvalidOperationException("A live machine does not go back.");

    /// <inheritdoc/>
    public DebugStop? Seek(ulong icount) => null;

    /// <inheritdoc/>
    public void Detach()
    {
        lock (gate)
        {
            (halted, stepping) = (killed, false);
            Monitor.PulseAll(gate);
        }
    }

    /// <inheritdoc/>
    public void Kill()
    {
        lock (gate)
        {
            // The VM ends a moment later, on another thread: until then it executes nothing more.
            (halted, killed) = (true, true);
        }
        kill();
    }

    /// <summary>The machine is gone.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            End();
        }
    }

    private DebugStop Go(bool oneStep)
    {
        lock (gate)
        {
            stop = null;
            if (!ended)
            {
                (halted, stepping) = (false, oneStep);
                machine.Vcpu!.PassHostBreakpoint();
                Monitor.PulseAll(gate);
            }
            while (stop is null && !ended)
            {
                Monitor.Wait(gate, InterruptWait);
                // With the gate in hand the machine stands still: it is halted here, wherever it is.
                if (stop is null && !ended && interrupted())
                {
                    Halt(new DebugStop(DebugStopKind.Interrupt));
                }
            }
            return stop ?? new DebugStop(DebugStopKind.Ended);
        }
    }

    private void Halt(DebugStop why)
    {
        (halted, stepping, stop) = (true, false, why);
        Monitor.PulseAll(gate);
    }

    private void End()
    {
        (ended, halted) = (true, false);
        Monitor.PulseAll(gate);
    }

    private T Locked<T>(Func<T> read)
    {
        lock (gate)
        {
            return read();
        }
    }
}
