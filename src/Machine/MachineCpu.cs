using FtAkka.Cpu;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine;

/// <summary>The vCPU as the machine sees it.</summary>
internal sealed class MachineCpu(GuestMemory memory, CpuModel model, ICpuBus bus, VcpuOptions? options) : IMachineCpu
{
    private readonly Vcpu vcpu = new(memory, model, bus, options);

    public Vcpu Vcpu => vcpu;

    public ulong Icount => vcpu.Icount;

    public bool InterruptLine
    {
        get => vcpu.InterruptLine;
        set => vcpu.InterruptLine = value;
    }

    public ulong TscAdjust => vcpu.TscAdjust;

    public VcpuExitReason Run(ulong instructionBudget) => vcpu.Run(instructionBudget);

    public void RaiseNmi() => vcpu.RaiseNmi();

    public void RequestStop() => vcpu.RequestStop();

    public void CountShutdown() => vcpu.CountShutdown();

    public void EnterKernel(in BootEntry entry)
    {
        // Nothing of what was translated is of use to another kernel, or to the same one at another place.
        if (vcpu.Icount > 0)
            vcpu.DropCaches();
        vcpu.EnterLongMode(new LongModeEntry
        {
            Rip = entry.Rip, Rsi = entry.Rsi, Rsp = entry.Rsp, Cr3 = entry.Cr3, GdtBase = entry.GdtBase, GdtLimit = entry.GdtLimit,
        });
    }

    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("VCPU", Vcpu.StateVersion);
        Span<byte> state = stackalloc byte[Vcpu.StateBytes];
        vcpu.SaveState(state);
        writer.WriteFixed(state);
        writer.EndSection(section);
    }

    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("VCPU", Vcpu.StateVersion);
        var state = new byte[Vcpu.StateBytes];
        reader.ReadFixed(state);
        if (reader.Ok)
            reader.Require(vcpu.TryRestoreState(state));
        return reader.EndSection();
    }

    public void Dispose() => vcpu.Dispose();
}
