namespace FtAkka.LinuxBench;

/// <summary>How QEMU executes the guest.</summary>
public enum QemuMode
{
    /// <summary>Dynamic translation as it comes.</summary>
    Tcg,

    /// <summary>Dynamic translation with counted instructions, which FtAkka always has.</summary>
    Icount,

    /// <summary>The same, and everything that enters the guest is recorded.</summary>
    Record,
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
    /// <param name="recording">File for the recording, for <see cref="QemuMode.Record"/>.</param>
    public static IReadOnlyList<string> Arguments(
        QemuMode mode, string kernel, string initramfs, string kernelArguments, string? disk, int memoryMiB = 512, string? recording = null)
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
        else if (mode == QemuMode.Record)
        {
            arguments.AddRange(["-icount", $"shift=auto,rr=record,rrfile={Escaped(recording!)}"]);
        }

        if (disk is not null)
        {
            // Recorded, disk requests go through a filter.
            string id = mode == QemuMode.Record ? "image" : "d0";
            arguments.AddRange(["-drive", $"file={Escaped(disk)},if=none,id={id},format=raw"]);
            if (mode == QemuMode.Record)
            {
                arguments.AddRange(["-drive", "driver=blkreplay,if=none,image=image,id=d0"]);
            }
            arguments.AddRange(["-device", "virtio-blk-device,drive=d0"]);
        }

        return arguments;
    }

    /// <summary>A comma in an option's value is doubled.</summary>
    private static string Escaped(string path) => path.Replace(",", ",,", StringComparison.Ordinal);
}
