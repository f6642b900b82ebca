using System.Buffers.Binary;
using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>What a walk by the book comes to.</summary>
/// <param name="PhysicalAddress">Valid if <paramref name="Fault"/> is null.</param>
/// <param name="Fault">Page-fault error code, or null.</param>
/// <param name="Entries">Addresses of the entries read, PML4 first.</param>
/// <param name="AllAccessed">A is set in all of them.</param>
/// <param name="IsDirty">D is set in the last.</param>
internal sealed record WalkResult(ulong PhysicalAddress, uint? Fault, IReadOnlyList<ulong> Entries, bool AllAccessed, bool IsDirty);

/// <summary>
/// 4-level paging written down from Intel SDM vol. 3A, 4.5 to 4.7, one condition after the other and without regard to speed; shares no code
/// with the Mmu.
/// </summary>
internal sealed class ReferenceWalker(GuestMemory memory)
{
    public bool WriteProtect { get; set; }
    public bool Smep { get; set; }
    public bool Nxe { get; set; }
    public ulong Cr3 { get; set; }

    public WalkResult Walk(ulong va, AccessKind kind, bool user)
    {
        int[] indices = [Bits(va, 47, 39), Bits(va, 38, 30), Bits(va, 29, 21), Bits(va, 20, 12)];
        var addresses = new List<ulong>();
        bool writable = true, userPage = true, noExecute = false, accessed = true;
        ulong table = Cr3 >> 12 << 12;
        for (int depth = 0; depth < 4; depth++)
        {
            ulong address = table + (ulong)indices[depth] * 8;
            addresses.Add(address);
            ulong entry = Load(address);
            if (!Bit(entry, 0)) return Fail(Error(kind, user, present: false, reserved: false), addresses);
            bool large = depth is 1 or 2 && Bit(entry, 7);
            if (HasReservedBit(entry, depth, large)) return Fail(Error(kind, user, present: true, reserved: true), addresses);
            writable &= Bit(entry, 1);
            userPage &= Bit(entry, 2);
            noExecute |= Nxe && Bit(entry, 63);
            accessed &= Bit(entry, 5);
            if (depth < 3 && !large)
            {
                table = Address(entry, 12);
                continue;
            }
            int offsetBits = depth switch { 1 => 30, 2 => 21, _ => 12 };
            bool allowed = kind switch
            {
                AccessKind.Read => !user || userPage,
                AccessKind.Write => user ? userPage && writable : writable || !WriteProtect,
                _ => !noExecute && (user ? userPage : !(userPage && Smep)),
            };
            if (!allowed) return Fail(Error(kind, user, present: true, reserved: false), addresses);
            ulong physical = Address(entry, offsetBits) + (va & ((1UL << offsetBits) - 1));
            return new WalkResult(physical, null, addresses, accessed, Bit(entry, 6));
        }
        throw new InvalidOperationException("the walk has four levels");
    }

    private static WalkResult Fail(uint error, List<ulong> addresses) => new(0, error, addresses, false, false);

    private bool HasReservedBit(ulong entry, int depth, bool large)
    {
        for (int bit = 40; bit <= 51; bit++)
        {
            if (Bit(entry, bit)) return true;
        }
        if (Bit(entry, 63) && !Nxe) return true;
        if (depth == 0) return Bit(entry, 7);
        int topOffsetBit = depth == 1 ? 29 : 20;
        for (int bit = 13; large && bit <= topOffsetBit; bit++)
        {
            if (Bit(entry, bit)) return true;
        }
        return false;
    }

    private uint Error(AccessKind kind, bool user, bool present, bool reserved)
    {
        uint code = 0;
        if (present) code += 1;
        if (kind == AccessKind.Write) code += 2;
        if (user) code += 4;
        if (reserved) code += 8;
        if (kind == AccessKind.Execute && (Nxe || Smep)) code += 16;
        return code;
    }

    private ulong Load(ulong address)
    {
        Span<byte> bytes = stackalloc byte[8];
        return memory.TryRead(address, bytes) ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : ulong.MaxValue;
    }

    private static bool Bit(ulong value, int bit) => (value >> bit & 1) == 1;

    private static int Bits(ulong value, int high, int low) => (int)(value >> low & ((1UL << (high - low + 1)) - 1));

    private static ulong Address(ulong entry, int lowBit) => (entry & ((1UL << 40) - 1)) >> lowBit << lowBit;
}
