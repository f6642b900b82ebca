namespace FtAkka.Cpu.Memory;

/// <summary>
/// Guest RAM by guest physical address, as devices and boot code see it. Reads and writes that are not wholly inside RAM are
/// refused and touch nothing. A write keeps dirty tracking, translated code and the soft TLB coherent.
/// RAM occupies [0, min(size, 3 GiB)) and, if larger, continues at 4 GiB.
/// </summary>
public interface IGuestPhysicalMemory
{
    /// <summary>RAM size in bytes, a multiple of 4096.</summary>
    ulong SizeBytes { get; }

    /// <summary>Copies guest RAM at <paramref name="physicalAddress"/> to <paramref name="destination"/>. False if any byte is outside RAM.</summary>
    bool TryRead(ulong physicalAddress, Span<byte> destination);

    /// <summary>Copies <paramref name="source"/> to guest RAM. False, and nothing written, if any byte is outside RAM.</summary>
    bool TryWrite(ulong physicalAddress, ReadOnlySpan<byte> source);
}
