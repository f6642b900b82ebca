using FtAkka.Cpu;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Tests.Running;

/// <summary>What one scripted instruction does.</summary>
internal enum ScriptedStep
{
    Next,
    Halt,
    TripleFault,
}

/// <summary>
/// A CPU whose program is a function: instruction N calls it with N and the bus. Interrupts and NMIs are noted with their icount and
/// end at once: the handler is the EOI. It shares no code with the real CPU, so that the machine can be tested alone.
/// </summary>
internal sealed class ScriptedCpu(ICpuBus bus, Func<ulong, ICpuBus, ScriptedStep> program) : IMachineCpu
{
    private bool stopRequested;
    private bool nmiPending;
    private bool halted;
    private bool shutdown;

    public List<(ulong Icount, int Vector)> Interrupts { get; } = [];

    public BootEntry? Entry { get; private set; }

    public bool InterruptsEnabled { get; set; } = true;

    public ulong Icount { get; private set; }

    public bool InterruptLine { get; set; }

    public ulong TscAdjust { get; set; }

    public VcpuExitReason Run(ulong instructionBudget)
    {
        stopRequested = false;
        var end = Icount + instructionBudget;
        while (true)
        {
            if (shutdown)
                return VcpuExitReason.Shutdown;
            if (Icount == end)
                return VcpuExitReason.BudgetSpent;
            if (nmiPending)
            {
                (nmiPending, halted) = (false, false);
                Interrupts.Add((Icount, 2));
            }
            while (InterruptLine && InterruptsEnabled)
            {
                halted = false;
                Interrupts.Add((Icount, bus.AcknowledgeInterrupt()));
                bus.MmioWrite(0xFEE0_00B0, 4, 0);
            }
            if (halted)
                return VcpuExitReason.Halted;
            var step = program(Icount, bus);
            shutdown = step == ScriptedStep.TripleFault;
            halted = step == ScriptedStep.Halt;
            Icount += shutdown ? 0UL : 1;
            if (stopRequested)
                return VcpuExitReason.StopRequested;
        }
    }

    public void RaiseNmi() => nmiPending = true;

    public void RequestStop() => stopRequested = true;

    public void CountShutdown() => Icount++;

    public void EnterKernel(in BootEntry entry)
    {
        Entry = entry;
        (nmiPending, halted, shutdown, InterruptLine, TscAdjust) = (false, false, false, false, 0);
    }

    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("SCPU", 1);
        writer.WriteUInt64(Icount);
        writer.WriteUInt64(TscAdjust);
        writer.WriteBoolean(InterruptLine);
        writer.WriteBoolean(nmiPending);
        writer.WriteBoolean(halted);
        writer.WriteBoolean(shutdown);
        writer.EndSection(section);
    }

    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("SCPU", 1);
        Icount = reader.ReadUInt64();
        TscAdjust = reader.ReadUInt64();
        InterruptLine = reader.ReadBoolean();
        nmiPending = reader.ReadBoolean();
        halted = reader.ReadBoolean();
        shutdown = reader.ReadBoolean();
        return reader.EndSection();
    }

    public void Dispose()
    {
    }
}
