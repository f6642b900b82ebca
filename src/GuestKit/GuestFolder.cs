namespace FtAkka.GuestKit;

/// <summary>
/// Where fetched guests live: <c>$XDG_CACHE_HOME/ftakka/guest</c>, or <c>~/.cache/ftakka/guest</c>. Also tells the paths of the
/// files that <c>ftakka guest fetch</c> leaves there.
/// </summary>
public sealed record GuestFolder(string Path)
{
    /// <summary>The user's folder (XDG Base Directory Specification).</summary>
    public static GuestFolder Default
    {
        get
        {
            string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            string root = string.IsNullOrEmpty(cache) || !System.IO.Path.IsPathRooted(cache)
                ? System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache")
                : cache;
            return new GuestFolder(System.IO.Path.Combine(root, "ftakka", "guest"));
        }
    }

    /// <summary>The packed kernel as Debian ships it.</summary>
    public string BzImage => At("vmlinuz");

    /// <summary>The unpacked kernel; absent when the package's packing could not be read.</summary>
    public string Vmlinux => At("vmlinux");

    /// <summary>What the kernel files are and their hashes.</summary>
    public string KernelManifest => At("kernel.json");

    /// <summary>Private folder of apt: lists, state, package files.</summary>
    public string Apt => At("apt");

    /// <summary>The kernel that boots fastest among those present, or null when nothing has been fetched.</summary>
    public string? PreferredKernel => new[] { Vmlinux, BzImage }.FirstOrDefault(File.Exists);

    /// <summary>The initramfs of a variant; the empty name is the plain one.</summary>
    public string Initramfs(string variant = "") => At($"initramfs{Suffix(variant)}.cpio.gz");

    /// <summary>What a variant's initramfs was made from.</summary>
    public string InitramfsManifest(string variant) => At($"initramfs{Suffix(variant)}.json");

    private static string Suffix(string variant) => variant.Length == 0 ? string.Empty : "-" + variant;

    private string At(string name) => System.IO.Path.Combine(Path, name);
}
