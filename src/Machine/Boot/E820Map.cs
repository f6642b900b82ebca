using System.Buffers.Binary;
using FtAkka.Machine.Acpi;

namespace FtAkka.Machine.Boot;

/// <summary>Kinds of memory in the e820 map (ACPI 6.5, table 15.1).</summary>
public enum E820Kind : uint
{
    Usable = 1,
    Reserved = 2,
    AcpiData = 3,
}

/// <summary>One range of the e820 map.</summary>
public readonly record struct E820Entry(ulong Address, ulong SizeBytes, E820Kind Kind)
{
    /// <summary>Size of an entry in boot_params.</summary>
    public const int Bytes = 20;

    internal void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, Address);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], SizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], (uint)Kind);
    }
}

/// <summary>The memory map the kernel is told.</summary>
public static class E820Map
{
    /// <summary>Ranges for a guest with this much RAM (more than 1 MiB), in ascending order.</summary>
    public static IReadOnlyList<E820Entry> Build(ulong ramBytes)
    {
        var lowEnd = Math.Min(ramBytes, MemoryMap.LowRamLimit);
        var map = new List<E820Entry>
        {
            new(0, BootLayout.ExtendedBiosDataArea, E820Kind.Usable),
            new(BootLayout.ExtendedBiosDataArea, BootLayout.LegacyVideo - BootLayout.ExtendedBiosDataArea, E820Kind.Reserved),
            new(AcpiTables.BaseAddress, AcpiTables.SizeBytesMax, E820Kind.AcpiData),
            new(BootLayout.KernelMin, lowEnd - BootLayout.KernelMin, E820Kind.Usable),
            new(MemoryMap.PowerBase & ~0xFFFUL, 0x1000, E820Kind.Reserved),
            new(MemoryMap.IoApicBase, MemoryMap.IoApicSizeBytes, E820Kind.Reserved),
            new(MemoryMap.LocalApicBase, MemoryMap.LocalApicSizeBytes, E820Kind.Reserved),
        };
        if (ramBytes > MemoryMap.LowRamLimit)
            map.Add(new E820Entry(MemoryMap.HighRamBase, ramBytes - MemoryMap.LowRamLimit, E820Kind.Usable));
        return map;
    }
}
