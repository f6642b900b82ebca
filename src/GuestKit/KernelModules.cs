namespace FtAkka.GuestKit;

/// <summary>
/// Picks modules and what they depend on out of an unpacked kernel package, and writes the <c>modules.dep</c> that the package
/// itself does not hold (it is made at installation).
/// </summary>
public sealed class KernelModules
{
    private static readonly string[] ModuleFolders = ["lib/modules", "usr/lib/modules"];

    private readonly Dictionary<string, string> _pathByName = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _dependencies = new(StringComparer.Ordinal);
    private readonly HashSet<string> _builtIn;

    /// <summary>Reads the module folder of an unpacked kernel package.</summary>
    /// <param name="packageRoot">Where the package was unpacked.</param>
    /// <exception cref="GuestKitException">The package holds no modules, or those of several kernels.</exception>
    public KernelModules(string packageRoot)
    {
        string modules = ModuleFolders
            .Select(folder => Path.Combine(packageRoot, folder)).FirstOrDefault(Directory.Exists)
            ?? throw new GuestKitException("the kernel package holds no modules");
        string[] releases = Directory.GetDirectories(modules);
        Folder = releases.Length == 1
            ? releases[0]
            : throw new GuestKitException($"the kernel package holds modules of {releases.Length} kernels, expected one");
        foreach (string file in Directory.EnumerateFiles(Folder, "*.ko", SearchOption.AllDirectories))
        {
            _pathByName[NameOf(file)] = Path.GetRelativePath(Folder, file);
        }

        string builtIn = Path.Combine(Folder, "modules.builtin");
        _builtIn = File.Exists(builtIn) ? [.. File.ReadLines(builtIn).Select(NameOf)] : [];
    }

    /// <summary>The unpacked folder <c>lib/modules/RELEASE</c>.</summary>
    public string Folder { get; }

    /// <summary>The kernel's release, as <c>uname -r</c> shows it.</summary>
    public string Release => Path.GetFileName(Folder);

    /// <summary>True when the kernel has the module compiled in, so that there is nothing to load.</summary>
    public bool IsBuiltIn(string name) => _builtIn.Contains(Canonical(name));

    /// <summary>
    /// The modules with all they depend on, in an order in which they can be loaded; paths relative to <see cref="Folder"/>.
    /// Modules that are compiled in are left out.
    /// </summary>
    /// <exception cref="GuestKitException">The kernel has no such module.</exception>
    public IReadOnlyList<string> Closure(IEnumerable<string> names)
    {
        var ordered = new List<string>();
        foreach (string name in names)
        {
            Visit(Canonical(name), ordered);
        }

        return [.. ordered.Select(name => _pathByName[name])];
    }

    /// <summary>The text of <c>modules.dep</c> for a set of modules given by path: each with all it needs, nearest first.</summary>
    public string DependencyFile(IEnumerable<string> paths)
    {
        var text = new System.Text.StringBuilder();
        foreach (string path in paths)
        {
            // modprobe loads from the end of the line, so the closure, which is in loading order, is written backwards.
            IEnumerable<string> needed = Closure([NameOf(path)]).SkipLast(1).Reverse();
            text.Append(path).Append(':').AppendJoin(string.Empty, needed.Select(n => " " + n)).Append('\n');
        }

        return text.ToString();
    }

    private void Visit(string name, List<string> ordered)
    {
        if (_builtIn.Contains(name) || ordered.Contains(name))
        {
            return;
        }

        foreach (string dependency in DependenciesOf(name))
        {
            Visit(dependency, ordered);
        }

        ordered.Add(name);
    }

    private string[] DependenciesOf(string name)
    {
        if (_dependencies.TryGetValue(name, out string[]? known))
        {
            return known;
        }

        if (!_pathByName.TryGetValue(name, out string? path))
        {
            throw new GuestKitException($"kernel {Release} has no module {name}");
        }

        if (!ElfFile.TryOpen(File.ReadAllBytes(Path.Combine(Folder, path)), out ElfFile module))
        {
            throw new GuestKitException($"module {path} of kernel {Release} is no ELF file");
        }

        string[] dependencies = [.. module.ModuleInformation("depends")
            .SelectMany(list => list.Split(',', StringSplitOptions.RemoveEmptyEntries)).Select(Canonical)];
        return _dependencies[name] = dependencies;
    }

    // The kernel takes '-' and '_' in a module's name for the same character.
    private static string Canonical(string name) => name.Replace('-', '_');

    private static string NameOf(string path) => Canonical(Path.GetFileNameWithoutExtension(path));
}
