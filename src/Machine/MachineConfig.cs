using System.Collections.Immutable;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.Machine;

/// <summary>Everything that makes one machine differ from another. Two machines with equal configurations, kernels and inputs run identically.</summary>
public sealed record MachineConfig
{
    /// <summary>Less memory has no room for the structures of the boot protocol and any kernel at all.</summary>
    public const ulong MemoryBytesMin = 2UL << 20;

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

    /// <summary>Virtual disks: vda, vdb, ...</summary>
    public ImmutableArray<BlockOptions> Disks { get; init; } = [];

    /// <summary>Network cards.</summary>
    public ImmutableArray<NetOptions> Nics { get; init; } = [];

    /// <summary>Whether there is a virtio entropy device, seeded by <see cref="RngSeed"/>.</summary>
    public bool Entropy { get; init; } = true;

    /// <summary>Whether there is a virtio console beside the serial one.</summary>
    public bool VirtioConsole { get; init; }

    /// <summary>Limits.</summary>
    public MachineLimits Limits { get; init; } = new();

    /// <summary>Virtio-mmio windows in use: disks, then NICs, then entropy, then console.</summary>
    internal int WindowCount => Disks.Length + Nics.Length + (Entropy ? 1 : 0) + (VirtioConsole ? 1 : 0);

    /// <summary>What is wrong with the configuration, for people; null if nothing is.</summary>
    public string? FindError()
    {
        if (MemoryBytes < MemoryBytesMin || MemoryBytes > GuestMemory.SizeBytesMax || MemoryBytes % GuestMemory.PageSizeBytes != 0)
        {
            return $"The memory size of {MemoryBytes} bytes must be a multiple of {GuestMemory.PageSizeBytes}, at least {MemoryBytesMin >> 20} MiB "
                + $"and at most {GuestMemory.SizeBytesMax >> 30} GiB.";
        }
        if (WindowCount > MemoryMap.VirtioWindowsMax)
            return $"The machine has {WindowCount} virtio devices; {MemoryMap.VirtioWindowsMax} are possible.";
        if (TscHz == 0 || TscTicksPerTimerTick == 0 || ClockNumerator == 0 || ClockDenominator == 0)
            return "Frequencies and the clock's rate must not be zero.";
        return null;
    }
}
