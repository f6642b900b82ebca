using System.Collections.Immutable;

namespace FtAkka.LinuxBench;

/// <summary>One workload of <c>ftbench</c> (bench/Linux).</summary>
/// <param name="Name">Its name on ftbench's command line and in its output.</param>
/// <param name="Work">What it does, for a table.</param>
/// <param name="NeedsDisk">True when it overwrites the first 32 MiB of a disk.</param>
public sealed record LinuxWorkload(string Name, string Work, bool NeedsDisk = false)
{
    /// <summary>The shell command that runs it alone.</summary>
    public string Command(string disk = LinuxWorkloads.Disk) => NeedsDisk ? $"ftbench -d {disk} {Name}" : $"ftbench {Name}";
}

/// <summary>The workloads that compare VM monitors, in the order in which <c>ftbench all</c> runs them.</summary>
public static class LinuxWorkloads
{
    /// <summary>The guest's first virtio disk.</summary>
    public const string Disk = "/dev/vda";

    /// <summary>Least size of that disk.</summary>
    public const long DiskBytesMin = 32 << 20;

    /// <summary>Name of the initramfs variant that holds <c>ftbench</c>.</summary>
    public const string Variant = "bench";

    /// <summary>Place of the program in the guest.</summary>
    public const string GuestPath = "/usr/bin/ftbench";

    /// <summary>Starts the line before a workload; its name follows.</summary>
    public const string StartMark = "FTBENCH-START ";

    /// <summary>Starts the line after a workload; its name and checksum follow.</summary>
    public const string EndMark = "FTBENCH-END ";

    /// <summary>Starts the line of a workload that could not be done; name and reason follow.</summary>
    public const string FailedMark = "FTBENCH-FAILED ";

    /// <summary>All workloads.</summary>
    public static ImmutableArray<LinuxWorkload> All { get; } =
    [
        new("sha256", "SHA-256 of 64 MiB"),
        new("sieve", "primes below 16 million"),
        new("qsort", "qsort of 4 M integers"),
        new("interp", "bytecode interpreter"),
        new("matmul", "256 x 256 doubles"),
        new("nbody", "five bodies, 2 M steps"),
        new("memcpy", "SSE copy and set"),
        new("repmovs", "rep movs and stos"),
        new("chase", "dependent loads in 64 MiB"),
        new("getpid", "1 M system calls"),
        new("forkexec", "300 processes"),
        new("pipe", "100 k round trips"),
        new("pgfault", "200 k pages mapped"),
        new("gzip", "gzip and gunzip, 32 MiB"),
        new("blkwrite", "32 MiB and fsync", NeedsDisk: true),
        new("blkread", "32 MiB direct reads", NeedsDisk: true),
        new("blksync", "500 synchronous writes", NeedsDisk: true),
    ];

    /// <summary>
    /// What the kernel command line must hold for the guest to run the given workloads one after the other and power off.
    /// </summary>
    public static string KernelArgument(IEnumerable<LinuxWorkload> workloads) =>
        $"ftakka.run=\"ftbench -d {Disk} {string.Join(' ', workloads.Select(w => w.Name))}\"";
}
