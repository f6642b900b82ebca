using System.Globalization;
using System.Runtime.InteropServices;
using FtAkka.Cpu.Verification;
using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Doctor;

/// <summary>All that the doctor looks for, in the order of its report.</summary>
public static class HostChecks
{
    private const long MemoryNeededMiB = 512; // a 256 MiB guest, its translations and the runtime
    private const string KernelPackage = "linux-image-cloud-amd64";
    private const string FetchesGuest = "fetching a Debian kernel and programs for a Linux guest";

    /// <summary>The checks.</summary>
    public static IReadOnlyList<HostCheck> All { get; } =
    [
        new("system", CheckNeed.Required, "everything", "use a 64-bit Linux on an x86-64 CPU", LookForSystem),
        new("cpu", CheckNeed.Required, "the guest CPU model ftvm64-v1",
            "use a host with an Intel CPU of 2019 (Ice Lake) or later, or any AMD Zen; in a VM, pass the host's CPU through (-cpu host)", CpuFeatures.Look),
        new("cpu results", CheckNeed.Required, "guests that do the same on every host",
            "use another CPU, and report this one: it leaves something else than all known ones where the architecture leaves it open", LookForCpuResults),
        new("memory", CheckNeed.Required, "guests", $"free memory or raise the container's limit to {MemoryNeededMiB} MiB", LookForMemory),
        new("memfd", CheckNeed.Required, "guest memory", "use Linux 3.17 or later, and allow memfd_create in the container's seccomp profile",
            CodeMemoryCheck.LookForMemfd),
        new("code memory", CheckNeed.Required, "translated code", "allow executable shared mappings (SELinux execmem; sysctl vm.memfd_noexec=0)",
            CodeMemoryCheck.LookForCodeMemory),
        new("tap", CheckNeed.Optional, "a guest network card on a TAP interface",
            "run as root or give CAP_NET_ADMIN, with /dev/net/tun present (modprobe tun; docker: --cap-add NET_ADMIN --device /dev/net/tun)",
            NetworkChecks.LookForTap),
        new("namespaces", CheckNeed.Optional, "several hosts on one machine, with real partitions",
            "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)", NetworkChecks.LookForNamespaces),
        new("apt-get", CheckNeed.Optional, FetchesGuest, "use a Debian or Ubuntu host, or fetch the guest there and copy it", () => LookForProgram("apt-get")),
        new("dpkg-deb", CheckNeed.Optional, FetchesGuest, "install the package dpkg", () => LookForProgram("dpkg-deb")),
        new("guest packages", CheckNeed.Optional, FetchesGuest, $"run apt-get update, with a source that has {KernelPackage}", LookForKernelPackage),
        new("gcc", CheckNeed.Optional, "building the Linux benchmark program", "apt-get install gcc libc6-dev", () => LookForProgram("gcc")),
        new("qemu", CheckNeed.Optional, "comparing with QEMU in benchmarks", "apt-get install qemu-system-x86", () => LookForProgram("qemu-system-x86_64")),
    ];

    private static Finding LookForSystem()
    {
        string text = $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}";
        return OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 ? Finding.Ok(text) : Finding.Missing(text);
    }

    private static Finding LookForCpuResults() => HostSelfTest.FindDeviation() is { } deviation
        ? Finding.Missing($"not as on all known CPUs: {deviation}")
        : Finding.Ok("as on all known CPUs, where the architecture leaves them open");

    private static Finding LookForMemory()
    {
        // The runtime's figure respects a container's limit; the kernel's says what is free now.
        long limitMiB = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20;
        long freeMiB = AvailableKiB() >> 10;
        string text = $"{Math.Min(limitMiB, freeMiB)} MiB available";
        return Math.Min(limitMiB, freeMiB) >= MemoryNeededMiB ? Finding.Ok(text) : Finding.Missing(text);
    }

    private static long AvailableKiB()
    {
        const string Label = "MemAvailable:";
        string line = File.ReadLines("/proc/meminfo").First(line => line.StartsWith(Label, StringComparison.Ordinal));
        return long.Parse(line[Label.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture);
    }

    private static Finding LookForKernelPackage()
    {
        if (HostProgram.Find("apt-cache") is null)
        {
            return Finding.Missing("no program apt-cache");
        }
        string policy = HostProgram.Run("apt-cache", ["policy", KernelPackage]).Output;
        string? candidate = policy.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.StartsWith("Candidate:", StringComparison.Ordinal));
        return candidate is null || candidate.EndsWith("(none)", StringComparison.Ordinal)
            ? Finding.Missing($"apt knows no {KernelPackage}")
            : Finding.Ok($"{KernelPackage} {candidate["Candidate:".Length..].Trim()}");
    }

    /// <summary>A finding about a program: where it is and which version it says it has.</summary>
    private static Finding LookForProgram(string name)
    {
        if (HostProgram.Find(name) is not { } path)
        {
            return Finding.Missing($"no program {name}");
        }
        HostProgram.Result version = HostProgram.Run(path, ["--version"]);
        return Finding.Ok(version.ExitCode == 0 ? version.Output.Split('\n', 2)[0].Trim() : path);
    }
}
