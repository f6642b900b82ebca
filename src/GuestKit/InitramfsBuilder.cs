using System.Reflection;

namespace FtAkka.GuestKit;

/// <summary>Puts together the guest's root: our first process, busybox, kernel modules, packages and single files.</summary>
public sealed class InitramfsBuilder
{
    /// <summary>The line by which the guest's first process announces itself: the kernel has booted.</summary>
    public const string UserlandLine = "FTAKKA-USERLAND";

    /// <summary>
    /// Drivers of the devices that the machine offers, the PCI transport for the same image under another VM monitor, and ext4
    /// (compiled into the cloud kernel, a module of the generic one).
    /// </summary>
    private static readonly string[] BasicModules =
        ["virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "ext4"];

    /// <summary>Loaded by /init itself when the machine has such a bus, so not listed for it.</summary>
    private static readonly string[] Transports = ["virtio_mmio", "virtio_pci"];

    private static readonly string[] EmptyFolders =
        ["proc", "sys", "dev", "tmp", "run", "root", "mnt", "etc", "var/log", "var/tmp", "usr/local/bin"];

    private static readonly string[] BusyBoxPlaces = ["bin/busybox", "usr/bin/busybox"];

    private readonly GuestTree _tree = new();
    private readonly KernelModules _modules;
    private readonly Action<string> _progress;

    /// <summary>Starts a root for a kernel.</summary>
    public InitramfsBuilder(KernelModules modules, Action<string> progress)
    {
        _modules = modules;
        _progress = progress;
        foreach (string folder in EmptyFolders)
        {
            _tree.Add(folder, new GuestEntry.Folder());
        }

        foreach ((string place, string text) in OwnFiles)
        {
            _tree.AddText(place, text, place is "init" or "etc/udhcpc/default.script" ? 0b111_101_101 : 0b110_100_100);
        }
    }

    /// <summary>Small files of our own, by their place in the guest.</summary>
    public static SortedDictionary<string, string> OwnFiles { get; } = new(StringComparer.Ordinal)
    {
        ["init"] = Resource("init.sh"),
        ["etc/udhcpc/default.script"] = Resource("udhcpc.sh"),
        ["etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ["etc/group"] = "root:x:0:\nnogroup:x:65534:\n",
        ["etc/hosts"] = "127.0.0.1 localhost\n::1 localhost\n",
        ["etc/profile"] = "PS1='\\u@\\h:\\w\\$ '\n",
    };

    /// <summary>Adds one file of the host.</summary>
    public void AddFile(string hostPath, string guestPath) => _tree.AddHostFile(GuestTree.Place(guestPath), hostPath);

    /// <summary>Adds whole packages, and from all unpacked packages the libraries that the programs need.</summary>
    public void AddPackages(IEnumerable<string> wholeRoots, IReadOnlyList<string> allRoots)
    {
        foreach (string root in wholeRoots)
        {
            _tree.AddPackage(root);
        }

        IReadOnlyList<string> missing = new SharedLibraries(allRoots).Complete(_tree);
        if (missing.Count > 0)
        {
            _progress($"warning: no package has {string.Join(", ", missing)}; programs that need them will not start");
        }
    }

    /// <summary>Adds busybox and a link for each of its commands whose name no package has taken.</summary>
    /// <exception cref="GuestKitException">The package has no busybox, or it does not run on this host.</exception>
    public void AddBusyBox(string packageRoot)
    {
        string program = BusyBoxPlaces
            .Select(place => Path.Combine(packageRoot, place)).FirstOrDefault(File.Exists)
            ?? throw new GuestKitException("the package busybox-static holds no busybox");
        _tree.AddHostFile("usr/bin/busybox", program);
        foreach (string command in HostCommand.RunChecked(program, ["--list"]).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!_tree.Entries.ContainsKey("usr/sbin/" + command))
            {
                _tree.Add("usr/bin/" + command, new GuestEntry.Link("busybox"));
            }
        }
    }

    /// <summary>Adds the virtio drivers and further modules, which are loaded at boot.</summary>
    /// <exception cref="GuestKitException">The kernel has no such module.</exception>
    public void AddModules(IReadOnlyList<string> further)
    {
        string place = "usr/lib/modules/" + _modules.Release;
        IReadOnlyList<string> paths = _modules.Closure([.. BasicModules, .. further]);
        foreach (string path in paths)
        {
            _tree.AddHostFile($"{place}/{path}", Path.Combine(_modules.Folder, path));
        }

        _tree.AddText(place + "/modules.dep", _modules.DependencyFile(paths));
        IEnumerable<string> loaded = BasicModules.Except(Transports).Concat(further).Where(name => !_modules.IsBuiltIn(name));
        _tree.AddText("etc/ftakka-modules", string.Join(' ', loaded) + "\n");
    }

    /// <summary>Writes the archive.</summary>
    public void WriteTo(Stream output) => _tree.WriteTo(output);

    private static string Resource(string name)
    {
        Assembly assembly = typeof(InitramfsBuilder).Assembly;
        using var reader = new StreamReader(assembly.GetManifestResourceStream("FtAkka.GuestKit." + name)!);
        return reader.ReadToEnd();
    }
}
