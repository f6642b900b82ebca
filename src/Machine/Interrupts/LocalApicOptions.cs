namespace FtAkka.Machine.Interrupts;

/// <summary>What differs between local APICs.</summary>
public sealed record LocalApicOptions
{
    /// <summary>APIC ID, 0 to 254.</summary>
    public uint ApicId { get; init; }

    /// <summary>TSC frequency divided by the timer's input frequency (the crystal of CPUID leaf 15H); at least 1.</summary>
    public uint TscTicksPerTimerTick { get; init; } = 1;

    /// <summary>Whether CPUID.1:ECX[21] is shown; without it IA32_APIC_BASE.EXTD is a reserved bit.</summary>
    public bool X2ApicSupported { get; init; } = true;

    /// <summary>MAXPHYADDR of the CPU model: APIC base bits from here up are reserved.</summary>
    public int PhysicalAddressBits { get; init; } = 40;
}
