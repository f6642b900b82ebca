using FtAkka.GuestKit;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Vms;

/// <summary>The kernel of a VM that names none: the one that <c>ftakka guest fetch</c> has got, with its initial RAM disk.</summary>
internal static class FetchedKernel
{
    /// <summary>The description with a kernel; as it is if it names one, and null if there is none.</summary>
    public static VmSpec? Complete(VmSpec spec, GuestFolder folder) =>
        spec.Kernel is not null ? spec
        : folder.PreferredKernel is not { } fetched ? null
        : spec with { Kernel = fetched, Initrd = spec.Initrd ?? (File.Exists(folder.Initramfs()) ? folder.Initramfs() : null) };
}
