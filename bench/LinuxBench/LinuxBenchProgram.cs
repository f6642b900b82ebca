using System.Reflection;
using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>Builds <c>ftbench</c> from the sources that this assembly carries (bench/Linux) with the host's gcc.</summary>
public static class LinuxBenchProgram
{
    private const string ResourcePrefix = "FtAkka.LinuxBench.";

    /// <summary>
    /// The flags are part of the benchmark: baseline code, and no fused multiply-add, so that all machines compute the same bits.
    /// </summary>
    private static readonly string[] Flags = ["-O2", "-static", "-march=x86-64", "-mtune=generic", "-ffp-contract=off"];

    /// <summary>For an initramfs that is to hold it. Its sources are part of this assembly, and so of the assembly's version.</summary>
    public static BuiltProgram ForInitramfs { get; } =
        new("ftbench", LinuxWorkloads.GuestPath, typeof(LinuxBenchProgram).Assembly.ManifestModule.ModuleVersionId.ToString(), Build);

    /// <summary>Compiles into <paramref name="folder"/> and returns the program's path.</summary>
    /// <exception cref="GuestKitException">There is no gcc, or it fails, for example for want of the static C library.</exception>
    public static string Build(string folder)
    {
        if (HostProgram.Find("gcc") is null)
        {
            throw new GuestKitException("this host has no gcc, which builds the benchmark's programs; on Debian: apt-get install gcc libc6-dev");
        }

        Assembly assembly = typeof(LinuxBenchProgram).Assembly;
        var sources = new List<string>();
        foreach (string resource in assembly.GetManifestResourceNames().Where(n => n.StartsWith(ResourcePrefix, StringComparison.Ordinal)))
        {
            string path = Path.Combine(folder, resource[ResourcePrefix.Length..]);
            using FileStream file = File.Create(path);
            assembly.GetManifestResourceStream(resource)!.CopyTo(file);
            if (path.EndsWith(".c", StringComparison.Ordinal))
            {
                sources.Add(path);
            }
        }

        string program = Path.Combine(folder, "ftbench");
        HostCommand.RunChecked("gcc", [.. Flags, "-o", program, .. sources.Order(StringComparer.Ordinal)]);
        return program;
    }
}
