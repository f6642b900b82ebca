using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using FtAkka.Cpu.Debugging;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu;

/// <summary>The debugger's side of the vCPU. Reading and stopping leave no trace in the guest; writing makes it another execution.</summary>
public sealed unsafe partial class Vcpu
{
    /// <summary>
    /// Stops <see cref="Run"/> with <see cref="VcpuExitReason.Debug"/> before an instruction at one of these linear addresses, in whatever address
    /// space, and behind an instruction that made a watched access. Replaces what was set before.
    /// </summary>
    public void SetHostStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<HostWatchpoint> watchpoints)
    {
        ArgumentNullException.ThrowIfNull(breakpoints);
        ArgumentNullException.ThrowIfNull(watchpoints);
        Engine.SetStops(breakpoints, watchpoints);
    }

    /// <summary>Executes the next instruction although a breakpoint is on it. To be called before going on from a stop.</summary>
    public void PassHostBreakpoint() => Engine.PassBreakpoint();

    /// <summary>The watched access since the last call that stopped the vCPU; null: none.</summary>
    public HostWatchHit? TakeHostWatchHit()
    {
        HostWatchHit? hit = Engine.Mmu.WatchHit;
        Engine.Mmu.WatchHit = null;
        return hit;
    }

    /// <summary>Guest physical address behind a linear one under the present CR3, whatever the rights and without setting accessed bits.</summary>
    public bool TryTranslate(ulong linearAddress, out ulong physicalAddress) => Engine.Mmu.TryPeek(linearAddress, out physicalAddress);

    /// <summary>All registers.</summary>
    public CpuRegisters ReadRegisters()
    {
        CpuState* s = Engine.State;
        return new CpuRegisters
        {
            General = [.. new ReadOnlySpan<ulong>(s->Gpr, 16)],
            Rip = s->Rip,
            Rflags = s->Rflags,
            Cpl = (int)s->Cpl,
            Segments = [.. Enumerable.Range(0, 6).Select(View)],
            KernelGsBase = s->KernelGsBase,
            Cr0 = s->Cr0,
            Cr2 = s->Cr2,
            Cr3 = s->Cr3,
            Cr4 = s->Cr4,
            Cr8 = s->Cr8,
            Efer = s->Efer,
            Mxcsr = s->Mxcsr,
            X87Stack = X87Stack(s),
            X87Control = s->FcwGuest,
            X87Status = Unsafe.ReadUnaligned<ushort>(s->Fx + 2),
            X87Tags = s->Fx[4],
            Xmm = Xmm(s),
            Halted = s->Halted != 0,
        };
    }

    /// <summary>
    /// Changes a general register (0 to 15, as encoded), or RIP (16). The execution is not the recorded one any more.
    /// </summary>
    public void WriteRegister(int number, ulong value)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)number, 16u);
        if (number == 16)
        {
            Engine.State->Rip = value;
        }
        else
        {
            Engine.State->Gpr[number] = value;
        }
    }

    private SegmentView View(int index)
    {
        ref SegmentRegister segment = ref CpuState.Segment(Engine.State, (SegmentIndex)index);
        return new SegmentView(segment.Selector, segment.Base);
    }

    private static ImmutableArray<byte> X87Stack(CpuState* s)
    {
        var bytes = ImmutableArray.CreateBuilder<byte>(80);
        for (int i = 0; i < 8; i++)
        {
            bytes.AddRange(new ReadOnlySpan<byte>(s->Fx + 32 + (i * 16), 10));
        }
        return bytes.MoveToImmutable();
    }

    private static ImmutableArray<byte> Xmm(CpuState* s)
    {
        var bytes = ImmutableArray.CreateBuilder<byte>(256);
        for (int i = 0; i < 16; i++)
        {
            bytes.AddRange(new ReadOnlySpan<byte>(s->Vector + (i * 32), 16));
        }
        return bytes.MoveToImmutable();
    }
}
