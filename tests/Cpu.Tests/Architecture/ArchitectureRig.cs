using System.Runtime.InteropServices;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Architecture;

/// <summary>A platform that remembers what it was asked.</summary>
internal sealed class RecordingBus : ICpuBus
{
    public List<string> Calls { get; } = [];
    public ulong TimestampCounter { get; set; } = 1000;
    public ulong TaskPriority { get; set; }
    public uint NextPortValue { get; set; } = 0x11223344;
    public Dictionary<uint, ulong> Msrs { get; } = new() { [0x1B] = 0xFEE00900 };

    public ulong MmioRead(ulong physicalAddress, int size) => Note($"mr {physicalAddress:X} {size}", 0x5A5A5A5A5A5A5A5A);

    public void MmioWrite(ulong physicalAddress, int size, ulong value) => Note($"mw {physicalAddress:X} {size} {value:X}", 0);

    public uint PortRead(ushort port, int size) => (uint)Note($"in {port:X} {size}", NextPortValue++);

    public void PortWrite(ushort port, int size, uint value) => Note($"out {port:X} {size} {value:X}", 0);

    public byte AcknowledgeInterrupt() => 0x20;

    public ulong ReadTimestampCounter() => TimestampCounter;

    public bool TryReadMsr(uint msr, out ulong value) => Msrs.TryGetValue(msr, out value);

    public bool TryWriteMsr(uint msr, ulong value)
    {
        if (!Msrs.ContainsKey(msr))
            return false;
        Msrs[msr] = value;
        return true;
    }

    public ulong ReadCr8() => TaskPriority;

    public void WriteCr8(ulong taskPriority) => TaskPriority = taskPriority;

    private ulong Note(string call, ulong answer)
    {
        Calls.Add(call);
        return answer;
    }
}

/// <summary>
/// A long-mode CPU with page tables, GDT, IDT and TSS. The first 2 MiB are mapped one to one by 4 KiB pages (user, writable) and once more
/// at <see cref="Alias"/>; the rest of RAM one to one by 2 MiB pages. The device page is at <see cref="Mmio"/>.
/// </summary>
internal sealed unsafe class ArchitectureRig : IDisposable
{
    public const ulong MemoryBytes = 8 << 20, Gdt = 0x10000, Idt = 0x11000, Tss = 0x12000, Code = 0x30000, Data = 0x40000, Stack = 0x58000,
        Rsp0 = 0x60000, Ist1 = 0x64008, Handlers = 0x100000, Alias = 0x4000_0000, Mmio = 0x5000_0000, Unmapped = 0x6000_0000, NonCanonical = 0x8000_0000_0000;
    public const ushort KernelCode = 0x10, KernelData = 0x18, UserData = 0x23, UserCode = 0x2B, TaskSelector = 0x30, Code32 = 0x40, AbsentCode = 0x48,
        AbsentData = 0x50, Gate = 0x58, LocalTable = 0x68, ConformingCode = 0x78, GateFromUser = 0x80, GdtLimit = 0x8F;

    private const ulong LastTable = 0x4000, AliasTable = 0x5000;

    public ArchitectureRig()
    {
        State = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        Memory = new GuestMemory(MemoryBytes);
        BuildPageTables();
        BuildDescriptors();
        CpuReset.ForLongMode(State, new LongModeEntry { Rip = Code, Rsp = Stack, Cr3 = 0x1000, GdtBase = Gdt, GdtLimit = GdtLimit });
        State->Cr4 |= Cr4.OsFxsr | Cr4.FsGsBase;
        State->Efer |= Efer.SyscallEnable | Efer.NoExecuteEnable;
        State->IdtrBase = Idt;
        State->IdtrLimit = 0xFFF;
        State->Tr = new SegmentRegister { Base = Tss, Limit = 0xFFF, Selector = TaskSelector, Attributes = 0x8B };
        State->Star = 0x001B_0010_0000_0000;
        Mmu = new Mmu(State, Memory, Bus);
        Context = new CpuContext { State = State, Bus = Bus, Mmu = Mmu };
    }

    public CpuState* State { get; }
    public GuestMemory Memory { get; }
    public Mmu Mmu { get; }
    public RecordingBus Bus { get; } = new();
    public CpuContext Context { get; }
    public ulong Ticks { get; private set; }

    public void Dispose()
    {
        Mmu.Dispose();
        Memory.Dispose();
        NativeMemory.AlignedFree(State);
    }

    public ulong Read(ulong physical, int size = 8)
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        Assert.True(Memory.TryRead(physical, bytes[..size]));
        return BitConverter.ToUInt64(bytes);
    }

    public void Write(ulong physical, ulong value, int size = 8) => Assert.True(Memory.TryWrite(physical, BitConverter.GetBytes(value).AsSpan(0, size)));

    public void Push(params ulong[] highestFirst)
    {
        foreach (ulong value in highestFirst)
        {
            State->Gpr[4] -= 8;
            Write(State->Gpr[4], value);
        }
    }

    /// <summary>Takes the CPU to user mode with the given I/O privilege.</summary>
    public void EnterUser(uint ioPrivilege = 0)
    {
        State->Cs = Segmentation.FlatCode64(UserCode, 3);
        State->Ss = Segmentation.FlatData(UserData, 3);
        State->Cpl = 3;
        State->Rflags |= (ulong)ioPrivilege << 12;
    }

    /// <summary>Assembles one instruction at RIP and executes it.</summary>
    public InstructionOutcome Run(Action<Assembler> assemble, ulong budget = 1000)
    {
        var assembler = new Assembler(64);
        assemble(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), State->Rip);
        return RunBytes(stream.ToArray(), budget);
    }

    public InstructionOutcome RunBytes(byte[] code, ulong budget = 1000)
    {
        Assert.True(Memory.TryWrite(State->Rip, code));
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(code), State->Rip);
        decoder.Decode(out Instruction instruction);
        Assert.Equal(code.Length, instruction.Length);
        InstructionOutcome outcome = SystemInstructions.Execute(Context, in instruction, budget, out ulong ticks);
        Ticks = ticks;
        return outcome;
    }

    /// <summary>Asserts a fault that left RIP alone.</summary>
    public void AssertFault(InstructionOutcome outcome, byte vector, uint? errorCode = null)
    {
        Assert.Equal(InstructionOutcome.Fault, outcome);
        Assert.Equal(vector, Context.Fault.Vector);
        Assert.Equal(errorCode ?? 0, Context.Fault.ErrorCode);
        Assert.Equal(errorCode.HasValue, Context.Fault.HasErrorCode);
        Assert.Equal(Code, State->Rip);
        Assert.Equal(0ul, Ticks);
    }

    /// <summary>Interrupt or trap gate of a vector, to its slot in <see cref="Handlers"/>.</summary>
    public void SetGate(byte vector, ushort selector = KernelCode, uint type = 14, uint privilege = 0, uint ist = 0, bool present = true, ulong? target = null)
    {
        ulong rip = target ?? HandlerOf(vector);
        ulong low = (rip & 0xFFFF) | (ulong)selector << 16 | (ulong)ist << 32 | (ulong)type << 40 | (ulong)privilege << 45 | (present ? 1ul << 47 : 0)
            | (rip & 0xFFFF0000) << 32;
        Write(Idt + (vector * 16u), low);
        Write(Idt + (vector * 16u) + 8, rip >> 32);
    }

    public static ulong HandlerOf(byte vector) => Handlers + (vector * 16u);

    /// <summary>Page table entry of one of the first 512 pages.</summary>
    public void SetPage(ulong page, ulong entry) => Write(LastTable + (page / 4096 * 8), entry);

    private void BuildPageTables()
    {
        const ulong Table = 7, Page = 7, Large = 0x87;
        Write(0x1000, 0x2000 | Table);
        Write(0x2000, 0x3000 | Table);
        Write(0x2008, 0x6000 | Table);
        Write(0x3000, LastTable | Table);
        for (ulong n = 1; n < MemoryBytes >> 21; n++)
            Write(0x3000 + (n * 8), n << 21 | Large);
        Write(0x6000, AliasTable | Table);
        Write(0x6000 + ((Mmio >> 21 & 511) * 8), 0xFEC00000 | Large);
        for (ulong n = 0; n < 512; n++)
        {
            Write(LastTable + (n * 8), n << 12 | Page);
            Write(AliasTable + (n * 8), n << 12 | Page);
        }
    }

    private void BuildDescriptors()
    {
        ulong[] gdt =
        [
            0, 0,
            0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF,
            0x0000890000000FFF | Tss << 16, 0, 0x00CF9B000000FFFF, 0x00AF1B000000FFFF, 0x00CF13000000FFFF,
            0x00008C0000100000 | 0x2000, 0, 0x0000820000000017 | 0x13000ul << 16 & 0xFFFFFF0000, 0, 0x00AF9F000000FFFF,
            0x0000EC0000100000 | 0x2000, 0,
        ];
        for (int n = 0; n < gdt.Length; n++)
            Write(Gdt + ((ulong)n * 8), gdt[n]);
        for (int vector = 0; vector < 256; vector++)
            SetGate((byte)vector);
        Write(Tss + 4, Rsp0);
        Write(Tss + 0x24, Ist1);
        Write(Tss + 0x66, 0x68, 2);
        for (uint n = 0; n < 0x100; n++)
            Write(Tss + 0x68 + n, 0xFF, 1);
    }
}
