using System.Collections.Immutable;
using FtAkka.Cpu.Architecture;
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
    public string CommandLine { get; init; } = "console=ttyS0 reboot=a,panic_warm panic=-1";

    /// <summary>Time of day at TSC 0, seconds since 1970 UTC.</summary>
    public long BootUnixSeconds { get; init; }

    /// <summary>Seed of everything random in the guest.</summary>
    public ulong RngSeed { get; init; }

    /// <summary>TSC frequency as CPUID shows it. With the default one tick is a nanosecond.</summary>
    public ulong TscHz { get; init; } = DefaultTscHz;

    /// <summary>Ticks of the virtual TSC per second unless a machine is given another rate.</summary>
    public const ulong DefaultTscHz = 1_000_000_000;

    /// <summary>TSC ticks per tick of the APIC timer's input clock, the crystal of CPUID leaf 15H.</summary>
    public uint TscTicksPerTimerTick { get; init; } = 1;

    /// <summary>TSC ticks that <see cref="ClockDenominator"/> instructions take without a clock advance.</summary>
    public uint ClockNumerator { get; init; } = 1;

    /// <summary>See <see cref="ClockNumerator"/> and <see cref="Time.VirtualClock"/>.</summary>
    public uint ClockDenominator { get; init; } = 32;

    /// <summary>Name of the CPU model.</summary>
    public string CpuModelName { get; init; } = CpuModel.V1Name;

    /// <summary>Virtual disks: vda, vdb, ...</summary>
    public ImmutableArray<BlockOptions> Disks { get; init; } = [];

    /// <summary>Network cards.</summary>
    public ImmutableArray<NetOptions> Nics { get; init; } = [];

    /// <summary>Whether there is a virtio entropy device, seeded by <see cref="RngSeed"/>.</summary>
    public bool Entropy { get; init; } = true;

    /// <summary>Whether there is a virtio console beside the serial one.</summary>
    public bool VirtioConsole { get; init; }

    /// <summary>What follows when the guest reboots, or an operator resets the machine: <see cref="EndPolicy.Stop"/> or <see cref="EndPolicy.Restart"/>.</summary>
    public EndPolicy OnReboot { get; init; }

    /// <summary>What follows when the guest has crashed. One that crashes again and again is held (<see cref="GuestMachine.CrashesInRowMax"/>).</summary>
    public EndPolicy OnCrash { get; init; }

    /// <summary>What follows when the guest switches the machine off: <see cref="EndPolicy.Stop"/> or <see cref="EndPolicy.Restart"/>. When an operator does, it ends.</summary>
    public EndPolicy OnPowerOff { get; init; }

    /// <summary>Limits.</summary>
    public MachineLimits Limits { get; init; } = new();

    /// <summary>Virtio-mmio windows in use: disks, then NICs, then entropy, then console.</summary>
    internal int WindowCount => Disks.Length + Nics.Length + (Entropy ? 1 : 0) + (VirtioConsole ? 1 : 0);

    /// <summary>Whether the CPU model shows x2APIC (CPUID.1:ECX[21]).</summary>
    internal bool ShowsX2Apic => FindCpuModel() is { } model && (model.Cpuid(1, 0).Ecx & 1 << 21) != 0;

    /// <summary>The CPU model at the configured frequencies; null if there is none.</summary>
    internal CpuModel? FindCpuModel() =>
        CpuModel.TryGet(CpuModelName, TscHz, TscTicksPerTimerTick, out var model) ? model : null;

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
        if (ClockNumerator == 0 || ClockDenominator == 0)
            return "The clock's rate must not be zero.";
        if (!IsPolicy(OnReboot) || !IsPolicy(OnPowerOff) || !(IsPolicy(OnCrash) || OnCrash == EndPolicy.Hold))
            return "After a reboot or a power-off a machine can stop or restart; after a crash it can be held as well.";
        if (FindCpuModel() is null)
        {
            return $"There is no CPU model {CpuModelName} with a TSC of {TscHz} Hz and {TscTicksPerTimerTick} TSC ticks per crystal tick: the frequency "
                + "must be a whole number of MHz from 1 to 4000 and a multiple of the ratio.";
        }
        return null;
    }

    private static bool IsPolicy(EndPolicy policy) => policy is EndPolicy.Stop or EndPolicy.Restart;
}
