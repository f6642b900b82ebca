using System.IO.Compression;
using System.Reflection;
using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>
/// A fetched initramfs with a script and the proof program (Guests/Program) on top. The kernel unpacks archives that stand one after the other
/// into one root, so nothing is packed anew.
/// </summary>
internal static class GuestImage
{
    /// <summary>Busybox and drivers.</summary>
    public const string Plain = "";

    /// <summary>With the packages of <see cref="TestPackages"/>.</summary>
    public const string Test = "test";

    /// <summary>What to append for the guest to run the script and power off.</summary>
    public const string KernelArguments = "quiet mitigations=off ftakka.run=\"sh /proof.sh\"";

    private static readonly string[] TestPackages = ["stress-ng", "fio", "iperf3", "curl", "e2fsprogs"];

    // The flags are those of the benchmark: baseline code without fused multiply-add, so that all machines compute the same bits.
    private static readonly string[] CompilerFlags = ["-O2", "-static", "-march=x86-64", "-mtune=generic", "-ffp-contract=off"];

    private static readonly Lock OneAtATime = new();
    private static readonly TemporaryFolder Folder = new(Path.GetTempPath());
    private static readonly Dictionary<string, string> Programs = new(StringComparer.Ordinal);

    /// <summary>The kernel to boot.</summary>
    public static string Kernel => GuestFolder.Default.PreferredKernel!;

    /// <summary>How to fetch a variant by hand.</summary>
    public static string FetchArguments(string variant) =>
        variant == Test ? $" --name {Test} {string.Join(' ', TestPackages.Select(package => "--with " + package))}" : "";

    /// <summary>The proof program.</summary>
    public static string ProofProgram => Program("ftproof");

    /// <summary>A program of the tests, for guests and hosts, built with gcc on first use.</summary>
    public static string Program(string name)
    {
        lock (OneAtATime)
        {
            if (!Programs.TryGetValue(name, out string? path))
            {
                path = Programs[name] = Build(name);
            }
            return path;
        }
    }

    /// <summary>Writes the initramfs into <paramref name="folder"/>.</summary>
    /// <param name="folder">Folder of the test.</param>
    /// <param name="variant">What it stands on.</param>
    /// <param name="script">Shell script that the guest runs.</param>
    /// <param name="withProof">Adds <c>ftproof</c>.</param>
    public static string Write(string folder, string variant, string script, bool withProof = true) =>
        Write(folder, variant, script, withProof ? ["ftproof"] : []);

    /// <summary>Writes the initramfs with programs of the tests.</summary>
    public static string Write(string folder, string variant, string script, IEnumerable<string> programs)
    {
        EnsureFetched(variant);
        string path = Path.Combine(folder, $"initramfs-{Guid.NewGuid():n}.gz");
        File.Copy(GuestFolder.Default.Initramfs(variant), path);
        var tree = new GuestTree();
        tree.AddText("proof.sh", script);
        foreach (string program in programs)
        {
            tree.AddHostFile("usr/bin/" + program, Program(program));
        }
        using var file = new FileStream(path, FileMode.Append);
        using var packed = new GZipStream(file, CompressionLevel.Fastest);
        tree.WriteTo(packed);
        return path;
    }

    /// <summary>The lines that the proof program prints on the host.</summary>
    public static string[] OnHost(params string[] arguments) =>
        HostCommand.RunChecked(ProofProgram, arguments).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string Build(string name)
    {
        string sources = Folder.Sub(name);
        Assembly assembly = typeof(GuestImage).Assembly;
        foreach (string resource in assembly.GetManifestResourceNames().Where(resource => resource.StartsWith(name + "/", StringComparison.Ordinal)))
        {
            using FileStream file = File.Create(Path.Combine(sources, Path.GetFileName(resource)));
            assembly.GetManifestResourceStream(resource)!.CopyTo(file);
        }
        string program = Path.Combine(sources, name);
        HostCommand.RunChecked("gcc", [.. CompilerFlags, "-o", program, .. Directory.GetFiles(sources, "*.c").Order(StringComparer.Ordinal), "-lm", "-lpthread"]);
        return program;
    }

    /// <summary>Fetches what is missing; only tests that insist come here without it.</summary>
    private static void EnsureFetched(string variant)
    {
        lock (OneAtATime)
        {
            if (GuestFolder.Default.PreferredKernel is null || !File.Exists(GuestFolder.Default.Initramfs(variant)))
            {
                var options = new GuestFetchOptions { Variant = variant, Packages = variant == Test ? TestPackages : [] };
                new GuestFetch(options, _ => { }).Run();
            }
        }
    }
}
