namespace FtAkka.Machine.Acpi;

/// <summary>A virtio-mmio window as the DSDT announces it.</summary>
/// <param name="BaseAddress">Guest physical address, below 4 GiB.</param>
/// <param name="SizeBytes">Size of the window.</param>
/// <param name="Gsi">IOAPIC pin, level-triggered and active high.</param>
public readonly record struct VirtioWindow(ulong BaseAddress, ulong SizeBytes, int Gsi)
{
    /// <summary>The window with the given number, 0 to <see cref="MemoryMap.VirtioWindowsMax"/> - 1.</summary>
    public static VirtioWindow At(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)MemoryMap.VirtioWindowsMax, nameof(index));
        return new VirtioWindow(
            MemoryMap.VirtioBase + (uint)index * MemoryMap.VirtioWindowBytes, MemoryMap.VirtioWindowBytes, MemoryMap.VirtioFirstGsi + index);
    }
}
