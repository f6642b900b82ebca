namespace FtAkka.GuestKit;

/// <summary>
/// Adds to a guest tree the shared libraries that its programs link against, and theirs, out of unpacked packages. Taking the
/// libraries one by one instead of whole packages keeps, for example, Perl and the package manager out of an initramfs.
/// </summary>
public sealed class SharedLibraries
{
    private static readonly string[] SearchFolders =
        ["usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib", "usr/local/lib"];

    // glibc opens this one by name when a thread is cancelled, so no program lists it.
    private const string OpenedByName = "libgcc_s.so.1";

    private readonly Dictionary<string, string> _hostPathByPlace = new(StringComparer.Ordinal);

    /// <summary>Looks for libraries in these unpacked packages.</summary>
    public SharedLibraries(IEnumerable<string> packageRoots)
    {
        foreach (string root in packageRoots)
        {
            foreach (string file in Directory.EnumerateFileSystemEntries(root, "*", SearchOption.AllDirectories))
            {
                _hostPathByPlace.TryAdd(GuestTree.Place(Path.GetRelativePath(root, file)), file);
            }
        }
    }

    /// <summary>Completes a tree until every program and library in it has what it needs.</summary>
    /// <returns>Names of libraries that no package has; a program that wants one of them will not start.</returns>
    public IReadOnlyList<string> Complete(GuestTree tree)
    {
        var missing = new SortedSet<string>(StringComparer.Ordinal);
        var pending = new Queue<byte[]>();
        foreach (GuestEntry entry in tree.Entries.Values.ToList())
        {
            Enqueue(entry, pending);
        }

        bool dynamic = false;
        while (pending.TryDequeue(out byte[]? bytes))
        {
            if (!ElfFile.TryOpen(bytes, out ElfFile file))
            {
                continue;
            }

            if (file.Interpreter() is { } interpreter)
            {
                dynamic = true;
                Take(GuestTree.Place(interpreter), tree, pending);
            }

            foreach (string library in file.NeededLibraries().Where(library => !TakeLibrary(library, tree, pending)))
            {
                missing.Add(library);
            }

            if (pending.Count == 0 && dynamic)
            {
                TakeLibrary(OpenedByName, tree, pending);
            }
        }

        return [.. missing];
    }

    private static void Enqueue(GuestEntry entry, Queue<byte[]> pending)
    {
        if (entry is GuestEntry.HostFile file && HasElfMark(file.Path))
        {
            pending.Enqueue(File.ReadAllBytes(file.Path));
        }
    }

    private static bool HasElfMark(string path)
    {
        using FileStream stream = File.OpenRead(path);
        Span<byte> mark = stackalloc byte[4];
        return stream.ReadAtLeast(mark, mark.Length, throwOnEndOfStream: false) == mark.Length
            && System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(mark) == ElfFile.Magic;
    }

    private bool TakeLibrary(string name, GuestTree tree, Queue<byte[]> pending) =>
        SearchFolders.Any(folder => Take($"{folder}/{name}", tree, pending))
        || TakeFromPrivateFolder(name, tree, pending);

    // Some packages keep libraries of their own in a folder below the search folders and name it in the program's run path.
    private bool TakeFromPrivateFolder(string name, GuestTree tree, Queue<byte[]> pending)
    {
        string? place = _hostPathByPlace.Keys.Where(p => p.EndsWith("/" + name, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).FirstOrDefault();
        return place is not null && Take(place, tree, pending);
    }

    /// <summary>Takes a file by its place, following links, each of which is taken as well.</summary>
    private bool Take(string place, GuestTree tree, Queue<byte[]> pending)
    {
        if (tree.Entries.ContainsKey(place))
        {
            return true;
        }

        if (!_hostPathByPlace.TryGetValue(place, out string? hostPath))
        {
            return false;
        }

        tree.AddHostFile(place, hostPath);
        if (new FileInfo(hostPath).LinkTarget is { } target)
        {
            string folder = "/" + Path.GetDirectoryName(place);
            return Take(GuestTree.Place(Path.GetFullPath(target, folder)), tree, pending);
        }

        Enqueue(tree.Entries[place], pending);
        return true;
    }
}
