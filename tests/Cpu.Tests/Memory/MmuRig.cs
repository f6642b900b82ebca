using System.Buffers.Binary;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>RAM, state and Mmu of one vCPU in long mode, with a builder for page tables from page 1 on.</summary>
internal sealed unsafe class MmuRig : IDisposable
{
    public const ulong Present = 1, Writable = 2, User = 4, Accessed = 0x20, Dirty = 0x40, Large = 0x80, Global = 0x100;
    public const ulong NoExecute = 1UL << 63;
    public const ulong AllRights = Present | Writable | User;

    private readonly CpuStateBlock _state = new();
    private ulong _nextTable = 0x2000;

    public MmuRig(ulong ramBytes = 16 << 20)
    {
        Memory = new GuestMemory(ramBytes);
        Bus = new RecordingBus();
        Observer = new RecordingObserver();
        State->Cr0 = 0x8001_0033;
        State->Cr4 = 0xA0;
        State->Efer = 0xD01;
        State->Cr3 = 0x1000;
        Mmu = new Mmu(State, Memory, Bus) { Observer = Observer };
    }

    public CpuState* State => _state.Pointer;

    public GuestMemory Memory { get; }

    public RecordingBus Bus { get; }

    public RecordingObserver Observer { get; }

    public Mmu Mmu { get; }

    public ulong ReadEntry(ulong physicalAddress)
    {
        Span<byte> bytes = stackalloc byte[8];
        Assert.True(Memory.TryRead(physicalAddress, bytes));
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    public void WriteEntry(ulong physicalAddress, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Assert.True(Memory.TryWrite(physicalAddress, bytes));
    }

    /// <summary>Maps one page (level 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB); tables on the way are created with all rights. Returns the address of the leaf entry.</summary>
    public ulong Map(ulong va, ulong physicalAddress, ulong flags = AllRights, int level = 1)
    {
        ulong table = State->Cr3;
        for (int at = 4; at > level; at--)
        {
            ulong entryAddress = EntryAddress(table, va, at);
            ulong entry = ReadEntry(entryAddress);
            if ((entry & Present) == 0)
            {
                entry = _nextTable | AllRights;
                _nextTable += 0x1000;
                WriteEntry(entryAddress, entry);
            }
            table = entry & 0xFF_FFFF_F000;
        }
        ulong leaf = EntryAddress(table, va, level);
        WriteEntry(leaf, physicalAddress | flags | (level > 1 ? Large : 0));
        return leaf;
    }

    /// <summary>Address of the entry a walk of <paramref name="va"/> reads at a level.</summary>
    public ulong EntryOf(ulong va, int level)
    {
        ulong table = State->Cr3;
        for (int at = 4; at > level; at--) table = ReadEntry(EntryAddress(table, va, at)) & 0xFF_FFFF_F000;
        return EntryAddress(table, va, level);
    }

    public bool HasReadEntry(ulong va, bool user) => HasTag(Mmu.Tlb.ReadTags(user ? 1 : 0), va);

    public bool HasWriteEntry(ulong va, bool user) => HasTag(Mmu.Tlb.WriteTags(user ? 1 : 0), va);

    public PageTrack TrackOf(ulong physicalAddress) => Memory.Track[Memory.PageIndexOf(physicalAddress)];

    public void Dispose()
    {
        Mmu.Dispose();
        Memory.Dispose();
        _state.Dispose();
    }

    private static ulong EntryAddress(ulong table, ulong va, int level) =>
        (table & ~0xFFFUL) + ((va >> (12 + 9 * (level - 1))) & 511) * 8;

    private static bool HasTag(long* tags, ulong va) => SoftTlb.Matches(tags[SoftTlb.SlotOf(va)], va);
}

/// <summary>A bus on which every device register reads as the low bytes of its address; calls are recorded.</summary>
internal sealed class RecordingBus : ICpuBus
{
    public List<string> Calls { get; } = [];

    public ulong MmioRead(ulong physicalAddress, int size)
    {
        Calls.Add($"read {physicalAddress:x} {size}");
        ulong value = 0;
        for (int i = size - 1; i >= 0; i--) value = value << 8 | (byte)(physicalAddress + (ulong)i);
        return value;
    }

    public void MmioWrite(ulong physicalAddress, int size, ulong value) => Calls.Add($"write {physicalAddress:x} {size} {value:x}");

    public uint PortRead(ushort port, int size) => throw new InvalidOperationException("no port in these tests");

    public void PortWrite(ushort port, int size, uint value) => throw new InvalidOperationException("no port in these tests");

    public byte AcknowledgeInterrupt() => throw new InvalidOperationException("no interrupt in these tests");

    public ulong ReadTimestampCounter() => throw new InvalidOperationException("no TSC in these tests");

    public bool TryReadMsr(uint msr, out ulong value) => throw new InvalidOperationException("no MSR in these tests");

    public bool TryWriteMsr(uint msr, ulong value) => throw new InvalidOperationException("no MSR in these tests");

    public ulong ReadCr8() => throw new InvalidOperationException("no CR8 in these tests");

    public void WriteCr8(ulong taskPriority) => throw new InvalidOperationException("no CR8 in these tests");
}

/// <summary>Records what it is told.</summary>
internal sealed class RecordingObserver : ITranslationObserver
{
    public List<string> Calls { get; } = [];

    public Action<ulong>? OnLinearPage { get; set; }

    public Action<ulong, ulong>? OnLinearRange { get; set; }

    public Action<bool>? OnLinear { get; set; }

    public void InvalidateLinearPage(ulong linearPage)
    {
        Calls.Add($"page {linearPage:x}");
        OnLinearPage?.Invoke(linearPage);
    }

    public void InvalidateLinearRange(ulong start, ulong lengthBytes)
    {
        Calls.Add($"range {start:x} {lengthBytes:x}");
        OnLinearRange?.Invoke(start, lengthBytes);
    }

    public void InvalidateLinear(bool keepGlobal)
    {
        Calls.Add(keepGlobal ? "non-global" : "all");
        OnLinear?.Invoke(keepGlobal);
    }

    public void InvalidateCode(ulong physicalAddress, int lengthBytes) => Calls.Add($"code {physicalAddress:x} {lengthBytes}");
}
