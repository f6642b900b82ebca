using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>
/// A vCPU in 64-bit mode over a small RAM: the first 2 MiB are mapped as 4 KiB pages (table at <see cref="PageTable"/>), user-accessible
/// and writable, up to 1 GiB follows in 2 MiB pages; what lies behind RAM is MMIO.
/// </summary>
internal sealed unsafe class GuestHarness : IDisposable
{
    public const ulong Pml4 = 0x1000, Pdpt = 0x2000, Pd = 0x3000, PageTable = 0x4000, Gdt = 0x5000, Idt = 0x6000, Tss = 0x7000;
    public const ulong Code = 0x10000, Data = 0x40000, Stack = 0x80000, Handlers = 0x90000;
    public const ulong Present = 1, Writable = 2, User = 4, LargePage = 0x80;

    public GuestHarness(ulong ramBytes = 16 << 20, VcpuOptions? options = null)
    {
        Memory = new GuestMemory(ramBytes);
        Bus = new TestBus();
        Write64(Pml4, Pdpt | Present | Writable | User);
        Write64(Pdpt, Pd | Present | Writable | User);
        Write64(Pd, PageTable | Present | Writable | User);
        for (ulong i = 1; i < 512; i++)
        {
            Write64(Pd + (8 * i), (i << 21) | Present | Writable | User | LargePage);
        }
        for (ulong i = 0; i < 512; i++)
        {
            Write64(PageTable + (8 * i), (i << 12) | Present | Writable | User);
        }
        // Null, unused, code64 (0x10), data (0x18), data3 (0x20|3), code3 (0x28|3), TSS (0x30).
        Write64(Gdt + 0x10, 0x00AF_9B00_0000_FFFF);
        Write64(Gdt + 0x18, 0x00CF_9300_0000_FFFF);
        Write64(Gdt + 0x20, 0x00CF_F300_0000_FFFF);
        Write64(Gdt + 0x28, 0x00AF_FB00_0000_FFFF);
        Vcpu = new Vcpu(Memory, CpuModel.Default, Bus, options);
        CpuState* s = Vcpu.State;
        s->Cr0 = 0x8001_0033; // PG WP NE ET MP PE
        s->Cr4 = 0x620; // PAE OSFXSR OSXMMEXCPT
        s->Cr3 = Pml4;
        s->Efer = 0xD01; // NXE LMA LME SCE
        s->Rflags = 2;
        s->GdtrBase = Gdt;
        s->GdtrLimit = 0x3F;
        s->IdtrBase = Idt;
        s->IdtrLimit = 0xFFF;
        s->Tr = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = 0x30, Attributes = 0x8B };
        Write64(Tss + 4, Stack + 0x8000);
        SetPrivilege(0);
        s->Gpr[4] = Stack;
        s->Rip = Code;
        Vcpu.Mmu.FlushAll();
    }

    public GuestMemory Memory { get; }
    public TestBus Bus { get; }
    public Vcpu Vcpu { get; }
    public CpuState* State => Vcpu.State;

    public void SetPrivilege(uint cpl)
    {
        State->Cpl = cpl;
        State->Cs = Segmentation.FlatCode64(cpl == 0 ? (ushort)0x10 : (ushort)0x2B, cpl);
        State->Ss = Segmentation.FlatData(cpl == 0 ? (ushort)0x18 : (ushort)0x23, cpl);
        State->Ds = State->Es = State->Ss;
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes) => Assert.True(Memory.TryWrite(address, bytes));

    public void Write64(ulong address, ulong value) => Write(address, BitConverter.GetBytes(value));

    public ulong Read64(ulong address)
    {
        byte[] bytes = new byte[8];
        Assert.True(Memory.TryRead(address, bytes));
        return BitConverter.ToUInt64(bytes);
    }

    /// <summary>Assembles guest code to <paramref name="address"/>.</summary>
    public void Assemble(Action<Assembler> build, ulong address = Code) => Assemble(build, address, address);

    /// <summary>Assembles guest code for a linear address to a physical one.</summary>
    public void Assemble(Action<Assembler> build, ulong address, ulong physicalAddress)
    {
        var assembler = new Assembler(64);
        build(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        Write(physicalAddress, stream.ToArray());
    }

    /// <summary>An interrupt gate for a vector; the handler at Handlers + 16 * vector is HLT unless the test puts something else there.</summary>
    public void Gate(byte vector, ulong handler, int dpl = 0, int ist = 0)
    {
        ulong low = (handler & 0xFFFF) | (0x10UL << 16) | ((ulong)ist << 32) | ((0x8EUL | ((ulong)dpl << 5)) << 40) | ((handler >> 16 & 0xFFFF) << 48);
        Write64(Idt + (16UL * vector), low);
        Write64(Idt + (16UL * vector) + 8, handler >> 32);
    }

    /// <summary>Gates for all exception vectors, each to its own HLT.</summary>
    public void HaltOnExceptions()
    {
        for (int vector = 0; vector < 32; vector++)
        {
            ulong handler = Handlers + (16UL * (ulong)vector);
            Gate((byte)vector, handler);
            Write(handler, [0xF4]);
        }
    }

    public void Dispose()
    {
        Vcpu.Dispose();
        Memory.Dispose();
    }
}
