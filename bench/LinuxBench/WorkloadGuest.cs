using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.Recordings;

namespace FtAkka.LinuxBench;

/// <summary>The Debian guest of the benchmarks: runs workloads under one monitor after the other, each in a process of its own.</summary>
/// <param name="ownProgram">The words that start this program as another process.</param>
/// <param name="workloads">What it runs.</param>
/// <param name="progress">Told what is going on.</param>
internal sealed class WorkloadGuest(IReadOnlyList<string> ownProgram, IReadOnlyList<LinuxWorkload> workloads, Action<string> progress)
{
    /// <summary>RAM of the guest.</summary>
    public const int MemoryMiB = 512;

    /// <summary>Only a guest that hangs takes so long.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(30);

    private readonly GuestFolder folder = GuestFolder.Default;

    /// <summary>Fetches the guest if need be.</summary>
    /// <exception cref="GuestKitException">It cannot be had.</exception>
    public void EnsureFetched()
    {
        if (folder.PreferredKernel is null || !File.Exists(folder.Initramfs(LinuxWorkloads.Variant)))
        {
            new GuestFetch(new GuestFetchOptions { Variant = LinuxWorkloads.Variant, Programs = [LinuxBenchProgram.ForInitramfs] }, progress).Run();
        }
    }

    /// <summary>Lets the guest run all workloads on an empty disk.</summary>
    /// <param name="what">Name of this run.</param>
    /// <param name="command">The monitor's program and arguments, for a disk image.</param>
    /// <exception cref="GuestKitException">The monitor or a workload failed.</exception>
    public ConsoleTimings Measure(string what, Func<string, IReadOnlyList<string>> command)
    {
        progress(what);
        using var temporary = new TemporaryFolder(Path.GetTempPath());
        string disk = Path.Combine(temporary.Path, "disk.img");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(LinuxWorkloads.DiskBytesMin);
        }
        IReadOnlyList<string> words = command(disk);
        MonitorRun run = MonitorRun.Run(words[0], words.Skip(1), Limit);
        string? failure = run.Timings.Failures.Count > 0 ? $"a workload failed: {run.Timings.Failures[0]}"
            : run.ExitCode is null ? $"still runs after {Limit.TotalMinutes} minutes"
            : run.ExitCode != 0 ? $"ended with status {run.ExitCode}"
            : workloads.FirstOrDefault(workload => !run.Timings.Timings.ContainsKey(workload.Name)) is { } lost ? $"never finished {lost.Name}"
            : null;
        return failure is null
            ? run.Timings
            : throw new GuestKitException($"{what}: {failure}; its console ended with:{Environment.NewLine}{string.Join(Environment.NewLine, run.ConsoleTail)}");
    }

    /// <summary>This program with a verb that runs the workloads.</summary>
    public IReadOnlyList<string> OwnCommand(string disk, params string[] verb) =>
        OwnCommand([.. verb, "--disk", disk], LinuxWorkloads.KernelArgument(workloads));

    /// <summary>This program with a verb and words for the kernel.</summary>
    public IReadOnlyList<string> OwnCommand(IReadOnlyList<string> verb, string kernelArguments) =>
    [
        .. ownProgram, .. verb, "--kernel", folder.PreferredKernel!, "--initrd", folder.Initramfs(LinuxWorkloads.Variant), "--memory", $"{MemoryMiB}M",
        "--append", $"{QemuGuest.KernelArguments} {kernelArguments}",
    ];

    /// <summary>QEMU with the workloads.</summary>
    public IReadOnlyList<string> QemuCommand(QemuMode mode, string disk, string? log = null) =>
    [
        QemuGuest.Program,
        .. QemuGuest.Arguments(mode, folder.PreferredKernel!, folder.Initramfs(LinuxWorkloads.Variant), LinuxWorkloads.KernelArgument(workloads), disk, MemoryMiB, log),
    ];

    /// <summary>Host and kernel, in one line.</summary>
    public string Describe()
    {
        string kernel = FetchedFiles.ReadVerified(folder.KernelManifest)?.Facts.GetValueOrDefault("release") ?? "kernel of unknown release";
        string load = File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
        return string.Create(
            CultureInfo.InvariantCulture, $"Linux {kernel}, {HostCpu.Model()}, {Environment.ProcessorCount} processors, load average {load}, .NET {Environment.Version}");
    }
}
