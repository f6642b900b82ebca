namespace FtAkka.VmmHost.GuestKit;

/// <summary>How QEMU executes the guest.</summary>
public enum QemuMode
{
    /// <summary>Dynamic translation as it comes.</summary>
    Tcg,

    /// <summary>Dynamic translation with counted instructions, which FtAkka always has.</summary>
    Icount,
}

/// <summary>
/// Command lines for running the fetched guest under QEMU on nearly the machine that FtAkka offers: the microvm type with ACPI,
/// serial console and virtio-mmio.
/// </summary>
public static class QemuGuest
{
    /// <summary>The program.</summary>
    public const string Program = "qemu-system-x86_64";

    /// <summary>Kernel arguments that every monitor gets in a comparison.</summary>
    public const string KernelArguments = "console=ttyS0 quiet mitigations=off nokaslr";

    /// <summary>QEMU tells the guest no TSC frequency, and calibrating it against the PIT fails on a loaded host.</summary>
    private const string TscArgument = "tsc_early_khz=1000000";

    /// <summary>Arguments that boot a kernel and initramfs with the console on standard output; QEMU ends when the guest powers off.</summary>
    /// <param name="mode">How to execute.</param>
    /// <param name="kernel">ELF kernel or bzImage.</param>
    /// <param name="initramfs">Initial root.</param>
    /// <param name="kernelArguments">Added to <see cref="KernelArguments"/>.</param>
    /// <param name="disk">Raw disk image, or null.</param>
    /// <param name="memoryMiB">Guest memory.</param>
    public static IReadOnlyList<string> Arguments(
        QemuMode mode, string kernel, string initramfs, string kernelArguments, string? disk, int memoryMiB = 512)
    {
        List<string> arguments =
        [
            "-M", "microvm,pcie=off", "-accel", "tcg", "-cpu", "qemu64", "-m", $"{memoryMiB}M", "-smp", "1",
            "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
            "-kernel", kernel, "-initrd", initramfs, "-append", $"{KernelArguments} {TscArgument} {kernelArguments}",
        ];
        if (mode == QemuMode.Icount)
        {
            arguments.AddRange(["-icount", "shift=auto"]);
        }

        if (disk is not null)
        {
            // A comma in an option's value is doubled.
            string file = disk.Replace(",", ",,", StringComparison.Ordinal);
            arguments.AddRange(["-drive", $"file={file},if=none,id=d0,format=raw", "-device", "virtio-blk-device,drive=d0"]);
        }

        return arguments;
    }
}
