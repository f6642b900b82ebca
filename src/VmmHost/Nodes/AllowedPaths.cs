using System.Runtime.InteropServices;
using System.Text;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// The folders, and single files, that a node opens for VMs of other nodes (<c>ftakka.node.allowed-paths</c>): what a peer's profile names is under one of them, also when
/// links have been followed, or is not opened. Whether what is refused exists is not told.
/// </summary>
/// <param name="entries">Absolute paths.</param>
internal sealed class AllowedPaths(IReadOnlyList<string> entries)
{
    private const int PathBytesMax = 4096;   // PATH_MAX

    /// <summary>Refuses a path that is not under one of the entries.</summary>
    /// <exception cref="IOException">It is not allowed.</exception>
    public void Require(string path)
    {
        string full = Path.GetFullPath(path);
        if (path.Split('/').Contains("..") || !entries.Any(entry => Covers(entry, full))
            || RealPath(full) is not { } real || !entries.Any(entry => Covers(RealPath(entry) ?? entry, real)))
        {
            throw new IOException($"{path} is not allowed: the setting ftakka.node.allowed-paths of this node names no folder of it");
        }
    }

    private static bool Covers(string entry, string path) =>
        path == entry || path.StartsWith(entry.TrimEnd('/') + "/", StringComparison.Ordinal);

    /// <summary>Where a path leads, links followed; what does not exist yet leads where its folder does. Null: to the end of a link that leads nowhere.</summary>
    private static string? RealPath(string full)
    {
        string rest = "";
        for (string? at = full; at is not null; at = Path.GetDirectoryName(at))
        {
            byte[] resolved = new byte[PathBytesMax];
            if (Resolve(at, resolved) != 0)
            {
                string real = Encoding.UTF8.GetString(resolved, 0, Array.IndexOf(resolved, (byte)0));
                return rest.Length == 0 ? real : Path.Join(real, rest);
            }
            if (new FileInfo(at).LinkTarget is not null)
            {
                return null;
            }
            rest = rest.Length == 0 ? Path.GetFileName(at) : Path.Join(Path.GetFileName(at), rest);
        }
        return null;
    }

    [DllImport("libc", EntryPoint = "realpath", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint Resolve([MarshalAs(UnmanagedType.LPUTF8Str)] string path, [Out] byte[] resolved);
}
