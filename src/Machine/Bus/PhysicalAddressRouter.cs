namespace FtAkka.Machine.Bus;

/// <summary>
/// Finds the device behind a guest physical address outside RAM. An address nobody owns reads all-ones and ignores writes, as an
/// x86 bus without a responder does. An access that runs over the end of a window belongs to nobody.
/// </summary>
public sealed class PhysicalAddressRouter
{
    private readonly record struct Window(ulong Base, ulong SizeBytes, IMmioDevice Device);

    private readonly List<Window> windows = [];

    /// <summary>
    /// Adds a window of <paramref name="sizeBytes"/> bytes. Called while the machine is put together;
    /// windows that overlap or wrap around are a mistake of the caller.
    /// </summary>
    /// <exception cref="ArgumentException">The window is empty, wraps around, or overlaps another.</exception>
    public void Add(ulong baseAddress, ulong sizeBytes, IMmioDevice device)
    {
        if (sizeBytes == 0 || baseAddress > ulong.MaxValue - sizeBytes)
            throw new ArgumentException($"MMIO window at 0x{baseAddress:x} of 0x{sizeBytes:x} bytes is empty or wraps around.", nameof(sizeBytes));
        foreach (var other in windows)
        {
            if (baseAddress < other.Base + other.SizeBytes && other.Base < baseAddress + sizeBytes)
                throw new ArgumentException($"MMIO window at 0x{baseAddress:x} overlaps the one at 0x{other.Base:x}.", nameof(baseAddress));
        }
        var index = windows.FindIndex(w => w.Base > baseAddress);
        windows.Insert(index < 0 ? windows.Count : index, new Window(baseAddress, sizeBytes, device));
    }

    /// <summary>Reads 1, 2, 4 or 8 bytes; all-ones of that size where no device answers.</summary>
    public ulong Read(ulong physicalAddress, int size)
    {
        var ones = AccessMask.Of(size);
        return TryFind(physicalAddress, size, out var window)
            ? window.Device.MmioRead(physicalAddress - window.Base, size) & ones
            : ones;
    }

    /// <summary>Writes 1, 2, 4 or 8 bytes; without effect where no device answers.</summary>
    public void Write(ulong physicalAddress, int size, ulong value)
    {
        if (TryFind(physicalAddress, size, out var window))
            window.Device.MmioWrite(physicalAddress - window.Base, size, value & AccessMask.Of(size));
    }

    private bool TryFind(ulong address, int size, out Window found)
    {
        // A dozen windows at most: a linear scan in address order beats anything cleverer.
        foreach (var window in windows)
        {
            if (address < window.Base)
                break;
            var offset = address - window.Base;
            if (offset < window.SizeBytes && (ulong)size <= window.SizeBytes - offset)
            {
                found = window;
                return true;
            }
        }
        found = default;
        return false;
    }
}
