namespace FtAkka.Machine;

/// <summary>Everything that makes one machine differ from another. Two machines with equal configurations, kernels and inputs run identically.</summary>
public sealed record MachineConfig
{
    /// <summary>RAM in bytes, a multiple of 4096.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>Kernel command line.</summary>
    public string CommandLine { get; init; } = "console=ttyS0 reboot=t panic=-1";

    /// <summary>Time of day at TSC 0, seconds since 1970 UTC.</summary>
    public long BootUnixSeconds { get; init; }

    /// <summary>Seed of everything random in the guest.</summary>
    public ulong RngSeed { get; init; }

    /// <summary>TSC frequency as CPUID shows it. With the default one tick is a nanosecond.</summary>
    public ulong TscHz { get; init; } = 1_000_000_000;

    /// <summary>TSC ticks per tick of the APIC timer's input clock, the crystal of CPUID leaf 15H.</summary>
    public uint TscTicksPerTimerTick { get; init; } = 1;

    /// <summary>TSC ticks that <see cref="ClockDenominator"/> instructions take without a clock advance.</summary>
    public uint ClockNumerator { get; init; } = 1;

    /// <summary>See <see cref="ClockNumerator"/> and <see cref="Time.VirtualClock"/>.</summary>
    public uint ClockDenominator { get; init; } = 32;

    /// <summary>Whether the CPU model shows x2APIC.</summary>
    public bool X2ApicSupported { get; init; } = true;

    /// <summary>Limits.</summary>
    public MachineLimits Limits { get; init; } = new();
}
