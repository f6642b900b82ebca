using System.Runtime.CompilerServices;

namespace FtAkka.Cpu.Memory;

/// <summary>
/// Guest RAM: one host mapping, allocated by the host as it is touched. RAM occupies guest physical [0, min(size, 3 GiB)) and, if
/// larger, continues at 4 GiB. A page is named by its index in RAM (RAM offset / 4096), so page indices have no hole.
/// </summary>
/// <remarks>Not thread-safe: owned by the thread that runs the vCPU. There is no finalizer; dispose it after the vCPU.</remarks>
public sealed unsafe partial class GuestMemory : IGuestPhysicalMemory, IDisposable
{
    /// <summary>Bytes in a page.</summary>
    public const int PageSizeBytes = 4096;

    /// <summary>Smallest RAM: 1 MiB.</summary>
    public const ulong SizeBytesMin = 1UL << 20;

    /// <summary>Largest RAM: 64 GiB.</summary>
    public const ulong SizeBytesMax = 64UL << 30;

    /// <summary>RAM below 4 GiB ends here; the rest of the first 4 GiB belongs to devices.</summary>
    public const ulong LowRamEndMax = 3UL << 30;

    /// <summary>Where RAM beyond the first 3 GiB continues.</summary>
    public const ulong HighRamStart = 4UL << 30;

    private readonly NativeMapping _ram;
    private readonly NativeMapping _track;
    private readonly ulong _lowSizeBytes, _highSizeBytes;
    private Mmu? _mmu;

    /// <param name="sizeBytes">A multiple of 4096 from 1 MiB to 64 GiB.</param>
    /// <exception cref="ArgumentOutOfRangeException">Size out of range or not a multiple of 4096.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The host has not got the memory.</exception>
    public GuestMemory(ulong sizeBytes)
    {
        if (sizeBytes is < SizeBytesMin or > SizeBytesMax || sizeBytes % PageSizeBytes != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(sizeBytes), sizeBytes, "Guest RAM must be a multiple of 4096 bytes, from 1 MiB to 64 GiB.");
        }
        SizeBytes = sizeBytes;
        PageCount = (int)(sizeBytes / PageSizeBytes);
        _lowSizeBytes = Math.Min(sizeBytes, LowRamEndMax);
        _highSizeBytes = sizeBytes - _lowSizeBytes;
        _ram = NativeMapping.CreateRam(sizeBytes);
        try
        {
            _track = NativeMapping.CreateSparse((ulong)PageCount);
        }
        catch
        {
            _ram.Dispose();
            throw;
        }
        Base = _ram.Pointer;
        Track = (PageTrack*)_track.Pointer;
    }

    /// <inheritdoc/>
    public ulong SizeBytes { get; }

    /// <summary>RAM size in pages.</summary>
    public int PageCount { get; }

    /// <summary>Host address of RAM offset 0.</summary>
    internal byte* Base { get; private set; }

    /// <summary>One entry per RAM page.</summary>
    internal PageTrack* Track { get; private set; }

    /// <summary>Index of the RAM page at a guest physical address, or -1 if that address is not RAM.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PageIndexOf(ulong physicalAddress)
    {
        if (physicalAddress < _lowSizeBytes) return (int)(physicalAddress >> 12);
        ulong high = physicalAddress - HighRamStart;
        return high < _highSizeBytes ? (int)((high + LowRamEndMax) >> 12) : -1;
    }

    /// <summary>Guest physical address of the first byte of a RAM page.</summary>
    public ulong PhysicalAddressOf(int pageIndex)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(pageIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(pageIndex, PageCount);
        ulong offset = (ulong)pageIndex << 12;
        return offset < LowRamEndMax ? offset : offset - LowRamEndMax + HighRamStart;
    }

    /// <summary>The 4096 bytes of a RAM page, live: valid until the guest runs on or the memory is disposed.</summary>
    public ReadOnlySpan<byte> Page(int pageIndex)
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        ArgumentOutOfRangeException.ThrowIfNegative(pageIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(pageIndex, PageCount);
        return new ReadOnlySpan<byte>(PagePointer(pageIndex), PageSizeBytes);
    }

    /// <summary>Host address of a RAM page; the index is not checked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal byte* PagePointer(int pageIndex) => Base + ((long)pageIndex << 12);

    /// <inheritdoc/>
    public bool TryRead(ulong physicalAddress, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        if (!TryLocate(physicalAddress, (ulong)destination.Length, out ulong offset)) return false;
        new ReadOnlySpan<byte>(Base + offset, destination.Length).CopyTo(destination);
        return true;
    }

    /// <inheritdoc/>
    public bool TryWrite(ulong physicalAddress, ReadOnlySpan<byte> source)
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        if (!TryLocate(physicalAddress, (ulong)source.Length, out ulong offset)) return false;
        if (source.IsEmpty) return true;
        PrepareWrite(physicalAddress, offset, source.Length);
        source.CopyTo(new Span<byte>(Base + offset, source.Length));
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Base = null;
        Track = null;
        _track.Dispose();
        _ram.Dispose();
    }

    /// <summary>Called by the constructor of the one <see cref="Mmu"/> that caches translations of this RAM.</summary>
    internal void Attach(Mmu mmu)
    {
        if (_mmu is not null) throw new InvalidOperationException("Guest memory is already attached to a vCPU.");
        _mmu = mmu;
    }

    internal void Detach(Mmu mmu)
    {
        if (_mmu == mmu) _mmu = null;
    }

    private bool TryLocate(ulong physicalAddress, ulong lengthBytes, out ulong offset)
    {
        offset = physicalAddress;
        if (physicalAddress < _lowSizeBytes) return lengthBytes <= _lowSizeBytes - physicalAddress;
        ulong high = physicalAddress - HighRamStart;
        offset = high + LowRamEndMax;
        return high < _highSizeBytes && lengthBytes <= _highSizeBytes - high;
    }

    private void PrepareWrite(ulong physicalAddress, ulong offset, int lengthBytes)
    {
        int last = (int)((offset + (ulong)lengthBytes - 1) >> 12);
        for (int page = (int)(offset >> 12); page <= last; page++)
        {
            PageTrack track = Track[page];
            if (track == PageTrack.None) continue;
            if ((track & (PageTrack.Code | PageTrack.PageTable | PageTrack.Watched)) == 0 || _mmu is null)
            {
                MarkDirty(page);
                continue;
            }
            ulong start = Math.Max(offset, (ulong)page << 12);
            ulong end = Math.Min(offset + (ulong)lengthBytes, ((ulong)page + 1) << 12);
            _mmu.PrepareTrackedWrite(physicalAddress + (start - offset), (int)(end - start));
        }
    }
}
