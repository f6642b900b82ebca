using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Virtio.Queues;

/// <summary>A run of guest physical memory named by one descriptor.</summary>
/// <param name="Address">Guest physical address of the first byte.</param>
/// <param name="LengthBytes">Length, at least 1.</param>
public readonly record struct GuestSegment(ulong Address, uint LengthBytes)
{
    /// <summary>True if every byte of [<paramref name="address"/>, +<paramref name="lengthBytes"/>) is guest RAM. Reads nothing.</summary>
    public static bool IsRam(IGuestPhysicalMemory memory, ulong address, ulong lengthBytes)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ulong lowEnd = Math.Min(memory.SizeBytes, MemoryMap.LowRamLimit);
        if (address < lowEnd)
        {
            return lengthBytes <= lowEnd - address;
        }
        ulong highSize = memory.SizeBytes - lowEnd;
        return address >= MemoryMap.HighRamBase && address - MemoryMap.HighRamBase < highSize
            && lengthBytes <= highSize - (address - MemoryMap.HighRamBase);
    }
}
