using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace FtAkka.Cpu.Memory;

/// <summary>Virtual memory access for instruction semantics written in C#: same effects as an access of emitted code.</summary>
internal sealed unsafe partial class Mmu
{
    /// <summary>Part of an access that lies in one page: translated and permitted.</summary>
    private struct Piece
    {
        public ulong PhysicalAddress;
        /// <summary>RAM page index, or -1 for MMIO.</summary>
        public int Page;
        public int Length;
    }

    /// <summary>Reads 1, 2, 4 or 8 bytes; may cross a page, may be MMIO.</summary>
    public bool Read(ulong va, int size, bool user, out ulong value)
    {
        if (TryHit(va, size, write: false, user, out byte* pointer))
        {
            value = Load(pointer, size);
            return true;
        }
        ulong bytes = 0;
        bool done = ReadBytes(va, new Span<byte>(&bytes, size), user);
        value = bytes;
        return done;
    }

    /// <summary>Writes 1, 2, 4 or 8 bytes; all pages are checked before the first byte changes.</summary>
    public bool Write(ulong va, int size, bool user, ulong value)
    {
        if (TryHit(va, size, write: true, user, out byte* pointer))
        {
            Store(pointer, size, value);
            return true;
        }
        return WriteBytes(va, new ReadOnlySpan<byte>(&value, size), user);
    }

    /// <summary>Reads a run of bytes (FXSAVE image, descriptor, XMM operand); at most two pages. Nothing is read unless all of it may be.</summary>
    public bool ReadBytes(ulong va, Span<byte> destination, bool user)
    {
        if (!Locate(va, destination.Length, AccessKind.Read, user, out Piece low, out Piece high)) return false;
        ReadPiece(low, destination);
        ReadPiece(high, destination[low.Length..]);
        return true;
    }

    /// <summary>Writes a run of bytes; at most two pages, which are checked before the first byte changes.</summary>
    public bool WriteBytes(ulong va, ReadOnlySpan<byte> source, bool user)
    {
        if (!Locate(va, source.Length, AccessKind.Write, user, out Piece low, out Piece high)) return false;
        WritePiece(low, source);
        WritePiece(high, source[low.Length..]);
        return true;
    }

    /// <summary>Checks that [va, va+size) could be written (faults, A/D bits as for a write) without writing.</summary>
    public bool ProbeWrite(ulong va, int size, bool user) => Locate(va, size, AccessKind.Write, user, out _, out _);

    /// <summary>Checks that [va, va+size) could be read (faults, A bits as for a read) without reading.</summary>
    public bool ProbeRead(ulong va, int size, bool user) => Locate(va, size, AccessKind.Read, user, out _, out _);

    /// <summary>
    /// Host pointer for a run inside one RAM page, for bulk string operations: [va, va+length) must not cross a page. Null with
    /// a <c>true</c> result when the run must go by <see cref="Read"/> and <see cref="Write"/>: MMIO, or a store into a page table in
    /// use, where each element may change how the next one translates. <c>false</c> on a fault. For writes, tracking has been honoured
    /// for the whole run (dirty set, code dropped) when it returns. Ask for the source first, then the destination, and make no
    /// other call on the Mmu until the bytes are written.
    /// </summary>
    public bool TryGetPointer(ulong va, int length, bool write, bool user, out byte* pointer)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, 4096 - (int)(va & 0xFFF));
        if (TryHit(va, length, write, user, out pointer)) return true;
        FillOutcome outcome = Fill(va, write, user, out ulong physicalAddress);
        if (outcome == FillOutcome.Fault) return false;
        Fault = default;
        if (outcome == FillOutcome.Mmio) return true;
        int page = _memory.PageIndexOf(physicalAddress);
        if (outcome == FillOutcome.Tracked)
        {
            if ((_memory.Track[page] & PageTrack.PageTable) != 0) return true;
            PrepareTrackedWrite(physicalAddress, length);
        }
        pointer = _memory.PagePointer(page) + (physicalAddress & 0xFFF);
        return true;
    }

    /// <summary>The check emitted code makes: hit if the access lies inside the page that the slot's tag names.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryHit(ulong va, int size, bool write, bool user, out byte* pointer)
    {
        int set = user ? SoftTlb.UserSet : SoftTlb.SupervisorSet;
        int slot = SoftTlb.SlotOf(va);
        long tag = (write ? _tlb.WriteTags(set) : _tlb.ReadTags(set))[slot];
        bool hit = (ulong)(tag + (long)va + size - 1) >> 12 == 0;
        pointer = hit ? (byte*)((long)va + _tlb.Addends(set)[slot]) : null;
        return hit;
    }

    /// <summary>Translates an access of at most two pages, lowest address first; nothing but A/D bits changes.</summary>
    private bool Locate(ulong va, int length, AccessKind kind, bool user, out Piece low, out Piece high)
    {
        int lowLength = Math.Min(length, 4096 - (int)(va & 0xFFF));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length - lowLength, 4096, nameof(length));
        high = default;
        if (!LocatePiece(va, lowLength, kind, user, out low)) return false;
        return lowLength == length || LocatePiece(va + (ulong)lowLength, length - lowLength, kind, user, out high);
    }

    private bool LocatePiece(ulong va, int length, AccessKind kind, bool user, out Piece piece)
    {
        piece = new Piece { Length = length };
        if (length == 0) return true;
        bool write = kind == AccessKind.Write;
        if (TryHit(va, length, write, user, out byte* pointer))
        {
            piece.Page = (int)((pointer - _memory.Base) >> 12);
            piece.PhysicalAddress = _memory.PhysicalAddressOf(piece.Page) + (va & 0xFFF);
            return true;
        }
        if (Fill(va, write, user, out piece.PhysicalAddress) == FillOutcome.Fault) return false;
        piece.Page = _memory.PageIndexOf(piece.PhysicalAddress);
        return true;
    }

    private void ReadPiece(in Piece piece, Span<byte> destination)
    {
        destination = destination[..piece.Length];
        if (destination.IsEmpty) return;
        if (piece.Page >= 0)
        {
            if ((_memory.Track[piece.Page] & PageTrack.Watched) != 0) NoteWatched(piece.PhysicalAddress, piece.Length, write: false);
            byte* source = _memory.PagePointer(piece.Page) + (piece.PhysicalAddress & 0xFFF);
            new ReadOnlySpan<byte>(source, piece.Length).CopyTo(destination);
            return;
        }
        ulong address = piece.PhysicalAddress;
        Span<byte> element = stackalloc byte[8];
        while (!destination.IsEmpty)
        {
            int size = MmioSize(address, destination.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(element, _bus.MmioRead(address, size));
            element[..size].CopyTo(destination);
            destination = destination[size..];
            address += (ulong)size;
        }
    }

    private void WritePiece(in Piece piece, ReadOnlySpan<byte> source)
    {
        source = source[..piece.Length];
        if (source.IsEmpty) return;
        if (piece.Page >= 0)
        {
            // Looked at now, not at translation time: the walk for the other page may have made this one a page table in use.
            if (_memory.Track[piece.Page] != PageTrack.None) PrepareTrackedWrite(piece.PhysicalAddress, piece.Length);
            source.CopyTo(new Span<byte>(_memory.PagePointer(piece.Page) + (piece.PhysicalAddress & 0xFFF), piece.Length));
            return;
        }
        ulong address = piece.PhysicalAddress;
        Span<byte> element = stackalloc byte[8];
        while (!source.IsEmpty)
        {
            int size = MmioSize(address, source.Length);
            element.Clear();
            source[..size].CopyTo(element);
            _bus.MmioWrite(address, size, BinaryPrimitives.ReadUInt64LittleEndian(element));
            source = source[size..];
            address += (ulong)size;
        }
    }

    /// <summary>Largest naturally aligned access at an address that does not exceed what remains.</summary>
    private static int MmioSize(ulong address, int remaining)
    {
        int size = 8;
        while (size > remaining || (address & (ulong)(size - 1)) != 0) size >>= 1;
        return size;
    }

    private static ulong Load(byte* pointer, int size) => size switch
    {
        1 => *pointer,
        2 => *(ushort*)pointer,
        4 => *(uint*)pointer,
        8 => *(ulong*)pointer,
        _ => throw new ArgumentOutOfRangeException(nameof(size), size, "An access has 1, 2, 4 or 8 bytes."),
    };

    private static void Store(byte* pointer, int size, ulong value)
    {
        switch (size)
        {
            case 1: *pointer = (byte)value; break;
            case 2: *(ushort*)pointer = (ushort)value; break;
            case 4: *(uint*)pointer = (uint)value; break;
            case 8: *(ulong*)pointer = value; break;
            default: throw new ArgumentOutOfRangeException(nameof(size), size, "An access has 1, 2, 4 or 8 bytes.");
        }
    }
}
