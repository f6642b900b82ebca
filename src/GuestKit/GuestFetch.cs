using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace FtAkka.GuestKit;

/// <summary>
/// Fetches the stock Debian guest and builds its initramfs. Two steps with a record each: the kernel, shared by all variants,
/// and the initramfs of the variant asked for. A step whose record is in order is not done again.
/// </summary>
public sealed class GuestFetch
{
    private const string BusyBoxPackage = "busybox-static";

    private readonly GuestFetchOptions _options;
    private readonly Action<string> _progress;

    /// <summary>Prepares a fetch.</summary>
    /// <param name="options">What to fetch.</param>
    /// <param name="progress">Told what is going on, one line at a time.</param>
    public GuestFetch(GuestFetchOptions options, Action<string> progress)
    {
        _options = options;
        _progress = progress;
    }

    private GuestFolder Folder => _options.Folder;

    /// <summary>Does what is missing and returns the path of the initramfs.</summary>
    /// <exception cref="GuestKitException">The host cannot do it; the message says why and what to do.</exception>
    public string Run()
    {
        Directory.CreateDirectory(Folder.Path);
        using FileStream onlyOne = Lock();
        try
        {
            return FetchKernelAndInitramfs();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new GuestKitException($"cannot build the guest in {Folder.Path}: {failure.Message}", failure);
        }
    }

    private string FetchKernelAndInitramfs()
    {
        FetchedFiles? kernel = _options.Force ? null : FetchedFiles.ReadVerified(Folder.KernelManifest);
        if (kernel?.MadeFrom != _options.KernelPackage)
        {
            kernel = FetchKernel();
        }
        else
        {
            _progress($"kernel {kernel.Facts["release"]}: up to date");
        }

        string initramfs = Folder.Initramfs(_options.Variant);
        string madeFrom = Fingerprint(kernel);
        FetchedFiles? present = FetchedFiles.ReadVerified(Folder.InitramfsManifest(_options.Variant));
        if (!_options.Force && present?.MadeFrom == madeFrom)
        {
            _progress($"{Path.GetFileName(initramfs)}: up to date");
            return initramfs;
        }

        BuildInitramfs(kernel, madeFrom, initramfs);
        return initramfs;
    }

    private FetchedFiles FetchKernel()
    {
        DebianPackages debian = OpenPackages();
        debian.UpdateLists(_options.Force);
        string package = debian.ResolveKernelPackage(_options.KernelPackage);
        IReadOnlyList<string> files = debian.Download([package, BusyBoxPackage]);
        using var unpacked = new TemporaryFolder(Folder.Path);
        _progress($"unpacking {package}");
        DebianPackages.Unpack(files[0], unpacked.Path);

        string release = new KernelModules(unpacked.Path).Release;
        byte[] bzImage = File.ReadAllBytes(Path.Combine(unpacked.Path, "boot", "vmlinuz-" + release));
        FetchedFiles.WriteAtomically(Folder.BzImage, stream => stream.Write(bzImage));
        List<string> made = [Folder.BzImage];
        if (KernelImage.TryExtractVmlinux(bzImage, out byte[] vmlinux, out string reason))
        {
            FetchedFiles.WriteAtomically(Folder.Vmlinux, stream => stream.Write(vmlinux));
            made.Add(Folder.Vmlinux);
        }
        else
        {
            File.Delete(Folder.Vmlinux); // or the one of an earlier kernel would be taken for this one's
            _progress($"kept the kernel as a bzImage only: {reason}");
        }

        DropOtherKernelsInitramfs(release);
        var facts = new Dictionary<string, string>
        {
            ["release"] = release,
            ["package"] = package,
            ["version"] = DebianPackages.VersionOf(files[0]),
            ["packageFile"] = Path.GetRelativePath(Folder.Path, files[0]),
            ["busyBoxFile"] = Path.GetRelativePath(Folder.Path, files[1]),
        };
        _progress($"kernel {release} ({facts["version"]}) ready");
        return FetchedFiles.Write(Folder.KernelManifest, _options.KernelPackage, facts, made);
    }

    /// <summary>Modules of another kernel do not load, so an initramfs left from it would boot into a guest without devices.</summary>
    private void DropOtherKernelsInitramfs(string release)
    {
        foreach (string manifest in Directory.GetFiles(Folder.Path, "initramfs*.json"))
        {
            if (FetchedFiles.ReadVerified(manifest) is not { } variant || variant.Facts.GetValueOrDefault("release") != release)
            {
                File.Delete(manifest);
                File.Delete(Path.ChangeExtension(manifest, ".cpio.gz"));
            }
        }
    }

    private void BuildInitramfs(FetchedFiles kernel, string madeFrom, string initramfs)
    {
        using var unpacked = new TemporaryFolder(Folder.Path);
        string kernelRoot = unpacked.Sub("kernel");
        string busyBoxRoot = unpacked.Sub("busybox");
        DebianPackages.Unpack(PackageFile(kernel, "packageFile"), kernelRoot);
        DebianPackages.Unpack(PackageFile(kernel, "busyBoxFile"), busyBoxRoot);

        var builder = new InitramfsBuilder(new KernelModules(kernelRoot), _progress);
        List<string> packageRoots = UnpackRequested(unpacked, out int requested);
        foreach ((string hostPath, string guestPath) in _options.Files)
        {
            builder.AddFile(hostPath, guestPath);
        }

        foreach (BuiltProgram program in _options.Programs)
        {
            _progress($"building {program.Name}");
            builder.AddFile(program.Build(unpacked.Sub("built-" + program.Name)), program.GuestPath);
        }

        builder.AddPackages(packageRoots.Take(requested), packageRoots);
        builder.AddBusyBox(busyBoxRoot);
        builder.AddModules(_options.Modules);
        FetchedFiles.WriteAtomically(initramfs, stream =>
        {
            using var packed = new GZipStream(stream, CompressionLevel.SmallestSize, leaveOpen: true);
            builder.WriteTo(packed);
        });
        FetchedFiles.Write(
            Folder.InitramfsManifest(_options.Variant),
            madeFrom,
            new Dictionary<string, string> { ["release"] = kernel.Facts["release"] },
            [initramfs]);
        _progress($"{Path.GetFileName(initramfs)} ready, {new FileInfo(initramfs).Length / 1024} KiB");
    }

    /// <summary>Unpacks the requested packages first, then their dependencies, each into a folder of its own.</summary>
    private List<string> UnpackRequested(TemporaryFolder unpacked, out int requested)
    {
        requested = 0;
        if (_options.Packages.Count == 0)
        {
            return [];
        }

        DebianPackages debian = OpenPackages();
        debian.UpdateLists(_options.Force);
        var roots = new List<string>();
        foreach (string file in debian.DownloadWithDependencies(_options.Packages)
                     .OrderBy(f => _options.Packages.Contains(DebianPackages.NameOf(f)) ? 0 : 1))
        {
            string name = DebianPackages.NameOf(file);
            requested += _options.Packages.Contains(name) ? 1 : 0;
            string root = unpacked.Sub("package-" + name);
            DebianPackages.Unpack(file, root);
            roots.Add(root);
        }

        return roots;
    }

    private string PackageFile(FetchedFiles kernel, string fact)
    {
        string path = Path.Combine(Folder.Path, kernel.Facts[fact]);
        return File.Exists(path)
            ? path
            : throw new GuestKitException($"{path} is gone; run ftakka guest fetch --force");
    }

    private DebianPackages OpenPackages() => new(Folder.Apt, _options.Source, _progress);

    /// <summary>Hash over everything that decides the initramfs's content.</summary>
    private string Fingerprint(FetchedFiles kernel)
    {
        object[] parts =
        [
            kernel.Facts,
            _options.Packages,
            _options.Modules,
            _options.Programs.Select(program => new[] { program.GuestPath, program.Version }),
            _options.Files.Select(f => new[] { f.GuestPath, HashOfHostFile(f.HostPath) }),
            InitramfsBuilder.OwnFiles,
            typeof(InitramfsBuilder).Assembly.ManifestModule.ModuleVersionId,
        ];
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(parts))));
    }

    private static string HashOfHostFile(string path) => File.Exists(path)
        ? FetchedFiles.HashOf(path)
        : throw new GuestKitException($"there is no file {path}");

    private FileStream Lock()
    {
        try
        {
            return new FileStream(Path.Combine(Folder.Path, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception taken) when (taken is IOException or UnauthorizedAccessException)
        {
            throw new GuestKitException($"another fetch is running in {Folder.Path}, or the folder cannot be written", taken);
        }
    }
}
