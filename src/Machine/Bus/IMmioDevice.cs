namespace FtAkka.Machine.Bus;

/// <summary>
/// A device whose registers appear in the guest physical address space. Called synchronously from inside the guest's own
/// instruction; must be a deterministic function of device state and arguments and never throw for anything a guest does.
/// </summary>
public interface IMmioDevice
{
    /// <summary>Read of <paramref name="size"/> (1, 2, 4 or 8) bytes at <paramref name="offset"/> bytes from the start of the device's window. Bits above the size are ignored.</summary>
    ulong MmioRead(ulong offset, int size);

    /// <summary>Write of the low <paramref name="size"/> (1, 2, 4 or 8) bytes of <paramref name="value"/>; higher bits are already zero.</summary>
    void MmioWrite(ulong offset, int size, ulong value);
}
