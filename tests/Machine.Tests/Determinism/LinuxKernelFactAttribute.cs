namespace FtAkka.Machine.Tests.Determinism;

/// <summary>
/// A test that boots the Linux kernel which <c>ftakka guest fetch</c> leaves in the user's cache. Skipped, and visibly so, where nothing has been
/// fetched; with FTAKKA_NEED_LINUX=1 it runs all the same and fails.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LinuxKernelFactAttribute : FactAttribute
{
    public LinuxKernelFactAttribute()
    {
        if (!File.Exists(Kernel) && Environment.GetEnvironmentVariable("FTAKKA_NEED_LINUX") != "1")
        {
            Skip = $"no Linux kernel at {Kernel}: `ftakka guest fetch` gets one";
        }
    }

    /// <summary>The unpacked kernel.</summary>
    public static string Kernel => Path.Combine(Folder, "vmlinux");

    /// <summary>The plain initramfs.</summary>
    public static string Initramfs => Path.Combine(Folder, "initramfs.cpio.gz");

    private static string Folder
    {
        get
        {
            string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            string root = string.IsNullOrEmpty(cache) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache") : cache;
            return Path.Combine(root, "ftakka", "guest");
        }
    }
}
