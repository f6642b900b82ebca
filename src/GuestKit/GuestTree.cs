namespace FtAkka.GuestKit;

/// <summary>
/// The files of a guest's root, each under the place it has in a system with merged <c>/usr</c>: <c>/bin</c>, <c>/sbin</c>,
/// <c>/lib</c> and <c>/lib64</c> are links into <c>/usr</c>, so packages of older and newer Debian releases fall together.
/// The first file to claim a place keeps it.
/// </summary>
public sealed class GuestTree
{
    private static readonly string[] MergedFolders = ["bin", "sbin", "lib", "lib64"];

    private static readonly string[] LeftOut =
        ["usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bug/"];

    private readonly SortedDictionary<string, GuestEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>Entries by their place, parents before children.</summary>
    public IReadOnlyDictionary<string, GuestEntry> Entries => _entries;

    /// <summary>The place of a path in the merged tree, without a slash in front.</summary>
    public static string Place(string path)
    {
        path = path.TrimStart('/');
        string first = path.Split('/', 2)[0];
        return MergedFolders.Contains(first) && path.Length > first.Length ? "usr/" + path : path;
    }

    /// <summary>Adds an entry unless its place is taken; tells whether it was added.</summary>
    public bool Add(string path, GuestEntry entry) => _entries.TryAdd(Place(path), entry);

    /// <summary>Adds a file with content of our own.</summary>
    public bool AddText(string path, string text, int permissions = 0b110_100_100) =>
        Add(path, new GuestEntry.Content(System.Text.Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\n")), permissions));

    /// <summary>Adds all files of an unpacked package, without manuals and translations.</summary>
    public void AddPackage(string root)
    {
        foreach (string file in Directory.EnumerateFileSystemEntries(root, "*", SearchOption.AllDirectories))
        {
            string place = Place(Path.GetRelativePath(root, file));
            if (!LeftOut.Any(folder => place.StartsWith(folder, StringComparison.Ordinal)))
            {
                AddHostFile(place, file);
            }
        }
    }

    /// <summary>Adds one file, link or folder of the host under a place of the guest.</summary>
    public void AddHostFile(string place, string hostPath)
    {
        var file = new FileInfo(hostPath);
        if (file.LinkTarget is { } target)
        {
            Add(place, new GuestEntry.Link(target));
        }
        else if (Directory.Exists(hostPath))
        {
            if (!MergedFolders.Contains(place))
            {
                Add(place, new GuestEntry.Folder());
            }
        }
        else
        {
            Add(place, new GuestEntry.HostFile(hostPath, (int)file.UnixFileMode));
        }
    }

    /// <summary>Writes the tree as an initramfs, with the merged folders' links and the console's device node.</summary>
    public void WriteTo(Stream output)
    {
        var archive = new CpioArchive(output);
        foreach (string folder in MergedFolders)
        {
            archive.AddDirectory("usr/" + folder);
            archive.AddSymbolicLink(folder, "usr/" + folder);
        }

        archive.AddDirectory("dev");
        archive.AddCharacterDevice("dev/console", 0b110_000_000, 5, 1); // Linux Documentation/admin-guide/devices.txt
        foreach ((string place, GuestEntry entry) in _entries)
        {
            switch (entry)
            {
                case GuestEntry.Folder:
                    archive.AddDirectory(place);
                    break;
                case GuestEntry.Link link:
                    archive.AddSymbolicLink(place, link.Target);
                    break;
                case GuestEntry.Content content:
                    archive.AddFile(place, content.Permissions, content.Bytes);
                    break;
                case GuestEntry.HostFile file:
                    archive.AddFile(place, file.Permissions, File.ReadAllBytes(file.Path));
                    break;
            }
        }

        archive.Finish();
    }
}
