using FtAkka.Machine.Bus;

namespace FtAkka.Machine.Devices;

/// <summary>What the guest asked of the power controller.</summary>
public enum PowerRequest
{
    /// <summary>Soft-off, S5.</summary>
    PowerOff,
    /// <summary>Reset of the whole machine.</summary>
    Reset,
}

/// <summary>
/// Sleep control, sleep status and reset registers, one byte each, as the FADT of a hardware-reduced platform announces them
/// (ACPI 6.5, 4.8.3.7 and 4.8.3.6). It keeps no state: nothing here sleeps and wakes.
/// </summary>
/// <param name="request">Told what the guest wants; called from inside the guest's access.</param>
public sealed class PowerController(Action<PowerRequest> request) : IMmioDevice
{
    /// <summary>Offset of the sleep control register.</summary>
    public const uint SleepControlOffset = 0;

    /// <summary>Offset of the sleep status register.</summary>
    public const uint SleepStatusOffset = 1;

    /// <summary>Offset of the reset register.</summary>
    public const uint ResetOffset = 2;

    /// <summary>Value that resets, FADT field RESET_VALUE.</summary>
    public const byte ResetValue = 0x42;

    /// <summary>SLP_TYP of soft-off, given to the guest by the \_S5 package.</summary>
    public const byte SleepTypeS5 = 5;

    /// <summary>SLP_EN (ACPI 6.5, table 4.19).</summary>
    private const byte SleepEnable = 1 << 5;

    /// <inheritdoc/>
    /// <remarks>Sleep control is write-only, and WAK_STS is never set because the machine never wakes: everything reads 0.</remarks>
    public ulong MmioRead(ulong offset, int size) => 0;

    /// <inheritdoc/>
    public void MmioWrite(ulong offset, int size, ulong value)
    {
        for (var i = 0; i < size; i++)
            WriteByte(offset + (uint)i, (byte)(value >> (8 * i)));
    }

    private void WriteByte(ulong offset, byte value)
    {
        if (offset == SleepControlOffset && (value & SleepEnable) != 0 && (value >> 2 & 7) == SleepTypeS5)
            request(PowerRequest.PowerOff);
        else if (offset == ResetOffset && value == ResetValue)
            request(PowerRequest.Reset);
    }
}
