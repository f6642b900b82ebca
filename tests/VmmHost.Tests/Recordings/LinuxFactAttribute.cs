using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>
/// A test that needs the guest which <c>ftakka guest fetch</c> leaves in the user's cache. Skipped, and visibly so, where nothing has been fetched; with
/// FTAKKA_NEED_LINUX=1 it runs all the same and fails.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute()
    {
        bool fetched = GuestFolder.Default.PreferredKernel is not null && File.Exists(GuestFolder.Default.Initramfs());
        if (!fetched && Environment.GetEnvironmentVariable("FTAKKA_NEED_LINUX") != "1")
        {
            Skip = $"no Linux kernel in {GuestFolder.Default.Path}: `ftakka guest fetch` gets one";
        }
    }
}
