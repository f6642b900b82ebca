using System.Text.RegularExpressions;

namespace FtAkka.GuestKit;

/// <summary>
/// Fetches Debian packages with the host's apt but without its privileges: package lists, state and downloads live in a folder
/// of our own, only the host's package sources and keys are read. apt checks signatures and hashes of everything it fetches.
/// </summary>
public sealed partial class DebianPackages
{
    private static readonly TimeSpan ListsMaximumAge = TimeSpan.FromDays(1);

    private readonly string _folder;
    private readonly DebianSource? _source;
    private readonly Action<string> _progress;
    private string _updateComplaint = string.Empty;

    /// <summary>Uses a folder for lists and packages. Throws when the host has no apt.</summary>
    /// <param name="folder">Private folder, created where missing.</param>
    /// <param name="source">A mirror to use in place of the host's own sources, or null.</param>
    /// <param name="progress">Told what is going on, one line at a time.</param>
    /// <exception cref="GuestKitException">apt-get or dpkg-deb is missing.</exception>
    public DebianPackages(string folder, DebianSource? source, Action<string> progress)
        : this(folder, source, progress, name => HostProgram.Find(name) is not null)
    {
    }

    internal DebianPackages(string folder, DebianSource? source, Action<string> progress, Predicate<string> hostHasProgram)
    {
        if (!hostHasProgram("apt-get") || !hostHasProgram("dpkg-deb"))
        {
            throw new GuestKitException(
                "this host has no apt-get and dpkg-deb, so the Debian guest cannot be fetched here. "
                + "Fetch it on a Debian host and copy the folder, or give your own files: "
                + "ftakka run --kernel VMLINUX_OR_BZIMAGE --initrd INITRAMFS");
        }

        _folder = folder;
        _source = source;
        _progress = progress;
        Directory.CreateDirectory(Path.Combine(folder, "lists", "partial"));
        Directory.CreateDirectory(Path.Combine(folder, "cache"));
        Directory.CreateDirectory(Path.Combine(folder, "packages", "partial"));
        File.WriteAllText(Path.Combine(folder, "status"), string.Empty);
    }

    /// <summary>Folder of the downloaded package files.</summary>
    public string PackageFolder => Path.Combine(_folder, "packages");

    /// <summary>Fetches the package lists when there are none, when they are a day old, or when asked to.</summary>
    public void UpdateLists(bool force)
    {
        string stamp = Path.Combine(_folder, "updated");
        string description = _source?.ToString() ?? "host";
        if (!force && File.Exists(stamp) && File.ReadAllText(stamp) == description
            && DateTime.UtcNow - File.GetLastWriteTimeUtc(stamp) < ListsMaximumAge)
        {
            return;
        }

        _progress("fetching package lists");
        if (_source is { } source)
        {
            File.WriteAllText(Path.Combine(_folder, "sources.list"), source.SourcesLine + "\n");
        }

        HostCommand update = HostCommand.Run("apt-get", [.. Options(), "update"]);
        _updateComplaint = update.Complaint;

        // A failing source that has nothing to do with the guest must not stop us; a missing package will be reported later.
        if (update.ExitCode == 0)
        {
            File.WriteAllText(stamp, description);
        }
    }

    /// <summary>The package that a meta package such as <c>linux-image-cloud-amd64</c> stands for at present.</summary>
    /// <exception cref="GuestKitException">No source offers the meta package.</exception>
    public string ResolveKernelPackage(string package)
    {
        HostCommand depends = HostCommand.Run("apt-cache", [.. Options(), "depends", package]);
        Match concrete = KernelDependency().Match(depends.Output);
        if (depends.ExitCode != 0 || (!concrete.Success && !VersionedKernel().IsMatch(package)))
        {
            throw NotOffered(package, depends.Complaint);
        }

        return concrete.Success ? concrete.Groups["name"].Value : package;
    }

    /// <summary>Downloads exactly these packages, without their dependencies; returns the package files in the same order.</summary>
    /// <exception cref="GuestKitException">A package is not offered or cannot be fetched.</exception>
    public IReadOnlyList<string> Download(IReadOnlyList<string> packages)
    {
        var files = new List<string>();
        foreach (string package in packages)
        {
            HostCommand plan = HostCommand.Run("apt-get", [.. Options(), "download", "--print-uris", package]);
            string? file = PlannedFiles(plan.Output).FirstOrDefault();
            if (plan.ExitCode != 0 || file is null)
            {
                throw NotOffered(package, plan.Complaint);
            }

            _progress($"fetching {Path.GetFileName(file)}");
            HostCommand.RunChecked("apt-get", [.. Options(), "-q", "download", package], PackageFolder);
            files.Add(Existing(file));
        }

        return files;
    }

    /// <summary>
    /// Downloads packages with everything they depend on, as for an empty system, without recommended ones; returns the files.
    /// </summary>
    /// <exception cref="GuestKitException">A package is not offered or cannot be fetched.</exception>
    public IReadOnlyList<string> DownloadWithDependencies(IReadOnlyList<string> packages)
    {
        string[] request = ["-q", "-y", "--no-install-recommends", "--download-only", "install", .. packages];
        HostCommand plan = HostCommand.Run("apt-get", [.. Options(), "--print-uris", .. request]);
        if (plan.ExitCode != 0)
        {
            throw NotOffered(string.Join(' ', packages), plan.Complaint);
        }

        // What is on the disk already is not in the plan, so the plan alone does not name the whole set.
        HostCommand simulation = HostCommand.Run("apt-get", [.. Options(), "--simulate", .. request.Where(a => a != "--download-only")]);
        List<string> names = [.. SimulatedInstall().Matches(simulation.Output).Select(m => m.Groups["name"].Value)];
        _progress($"fetching {string.Join(' ', packages)}: {names.Count} packages");
        HostCommand.RunChecked("apt-get", [.. Options(), .. request]);
        return [.. names.Select(NewestFile)];
    }

    /// <summary>Name of a package from its file name.</summary>
    public static string NameOf(string packageFile) => Path.GetFileName(packageFile).Split('_')[0];

    /// <summary>Version of a package from its file name.</summary>
    public static string VersionOf(string packageFile) =>
        Uri.UnescapeDataString(Path.GetFileName(packageFile).Split('_')[1]);

    /// <summary>Unpacks a package's files into a folder; runs none of its scripts.</summary>
    public static void Unpack(string packageFile, string folder)
    {
        Directory.CreateDirectory(folder);
        HostCommand.RunChecked("dpkg-deb", ["-x", packageFile, folder]);
    }

    private IEnumerable<string> Options()
    {
        string[] settings =
        [
            $"Dir::State={_folder}",
            $"Dir::State::lists={_folder}/lists",
            $"Dir::State::status={_folder}/status",
            $"Dir::Cache={_folder}/cache",
            $"Dir::Cache::archives={_folder}/packages",
            $"Dir::Log={_folder}",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "APT::Sandbox::User=root", // or apt, run by root, would fetch as _apt, which cannot write here
            "APT::Get::List-Cleanup=false",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::Retries=3",
            "Dpkg::Use-Pty=0",
        ];
        IEnumerable<string> mirror = _source is null
            ? []
            : [$"Dir::Etc::sourcelist={_folder}/sources.list", "Dir::Etc::sourceparts=/dev/null"];
        return settings.Concat(mirror).SelectMany(setting => new[] { "-o", setting });
    }

    private static IEnumerable<string> PlannedFiles(string output) =>
        PlannedFile().Matches(output).Select(m => m.Groups["file"].Value);

    private string Existing(string file)
    {
        // apt writes the version's colon as %3a in file names.
        string path = Path.Combine(PackageFolder, file);
        return File.Exists(path) ? path : NewestFile(NameOf(file));
    }

    private string NewestFile(string package) =>
        new DirectoryInfo(PackageFolder).EnumerateFiles($"{package}_*.deb").OrderByDescending(f => f.LastWriteTimeUtc)
            .FirstOrDefault()?.FullName
        ?? throw new GuestKitException($"apt-get reported success but left no package file of {package} in {PackageFolder}");

    private GuestKitException NotOffered(string package, string complaint) => new(
        $"the package sources of this host do not offer {package}:{Environment.NewLine}{complaint}{Environment.NewLine}"
        + (_updateComplaint.Length > 0 ? $"apt-get update said: {_updateComplaint}{Environment.NewLine}" : string.Empty)
        + "Use --mirror http://deb.debian.org/debian --suite bookworm for Debian's own, "
        + "or give your own files to ftakka run with --kernel and --initrd");

    [GeneratedRegex(@"^\s*Depends: (?<name>linux-image-\S*\d\S*)$", RegexOptions.Multiline)]
    private static partial Regex KernelDependency();

    [GeneratedRegex(@"^linux-image-\d")]
    private static partial Regex VersionedKernel();

    [GeneratedRegex(@"^'[^']+' (?<file>\S+\.deb) \d+", RegexOptions.Multiline)]
    private static partial Regex PlannedFile();

    [GeneratedRegex(@"^Inst (?<name>[^\s:]+)", RegexOptions.Multiline)]
    private static partial Regex SimulatedInstall();
}
