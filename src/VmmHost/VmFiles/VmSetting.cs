using System.Collections.Immutable;
using FtAkka.Cpu.Architecture;
using FtAkka.Machine;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>A setting of a VM: a flag of the command line and a key of the VM's file, which mean the same.</summary>
/// <param name="Flag">The flag.</param>
/// <param name="Key">The key; one with a dot is in an object of the file.</param>
/// <param name="Form">What is written after the flag, for its help.</param>
/// <param name="Help">What it does, for the flag's help.</param>
/// <param name="IsList">The flag may be given more than once, and the key's value is a list.</param>
/// <param name="Set">Puts what was written into a description. Throws <see cref="SpecException"/> for what cannot be understood.</param>
internal sealed record VmSetting(string Flag, string Key, string Form, string Help, bool IsList, Func<VmSpec, IReadOnlyList<WrittenValue>, VmSpec> Set)
{
    private const string DiskForm = "PATH[,format=raw][,readonly][,shared=no[,backup-reads=yes]]", ConsoleForm = "stdio|unix:PATH|file:PATH|none";

    /// <summary>All settings.</summary>
    public static ImmutableArray<VmSetting> All { get; } =
    [
        One("--name", "name", "NAME", "Name of the VM; MAC addresses are derived from it. Default: the file's name, or vm.", (spec, value) => spec with { Name = value.Text }),
        One("--memory", "memory", "SIZE", "RAM, such as 256M or 1G.", (spec, value) => spec with { MemoryBytes = SpecText.Bytes(value.What, value.Text) }),
        One("--kernel", "kernel", "PATH", "Linux kernel: bzImage, or ELF vmlinux. Default: the one of 'guest fetch'.", (spec, value) => spec with { Kernel = value.Path }),
        One("--initrd", "initrd", "PATH", "Initial RAM disk.", (spec, value) => spec with { Initrd = value.Path }),
        One("--append", "append", "TEXT", "Words to append to the kernel's command line.", (spec, value) => spec with { Append = value.Text }),
        List("--disk", "disks", DiskForm, "Disk image or block device. May be given more than once.",
            (spec, values) => spec with { Disks = [.. values.Select(SpecObject.Disk)] }),
        List("--net", "nics", "tap:NAME|unix:PATH|none", "Network card and what it is connected to, and [,mac=ADDRESS][,mtu=BYTES][,listen]. May be given more than once.",
            (spec, values) => spec with { Nics = [.. values.Select(SpecObject.Nic)] }),
        One("--console", "console", ConsoleForm, "Where the serial console is.", (spec, value) => spec with { Console = SpecObject.Console(value) }),
        One("--virtio-console", "virtio-console", ConsoleForm, "Where the virtio console (hvc0) is. Default: none, and the guest has no such device.",
            (spec, value) => spec with { VirtioConsole = SpecObject.Console(value) }),
        One("--cpu-model", "cpu-model", "NAME", $"CPU model, such as {CpuModel.V1Name}.", (spec, value) => spec with { CpuModel = value.Text }),
        One("--rng-seed", "rng-seed", "N", "Seed of everything random in the guest. Default: a random one.",
            (spec, value) => spec with { RngSeed = SpecText.Number(value.What, value.Text) }),
        One("--on-reboot", "on-reboot", "restart|stop", "What follows when the guest reboots. Default: restart.",
            (spec, value) => spec with { OnReboot = SpecText.Policy(value.What, value.Text, EndPolicy.Restart, EndPolicy.Stop) }),
        One("--on-crash", "on-crash", "stop|restart|hold", "What follows when the guest has crashed: by a panic of its kernel or a triple fault. Default: stop.",
            (spec, value) => spec with { OnCrash = SpecText.Policy(value.What, value.Text, EndPolicy.Stop, EndPolicy.Restart, EndPolicy.Hold) }),
        One("--on-poweroff", "on-poweroff", "stop|restart", "What follows when the guest switches itself off. Default: stop.",
            (spec, value) => spec with { OnPowerOff = SpecText.Policy(value.What, value.Text, EndPolicy.Stop, EndPolicy.Restart) }),
        One("--pace", "limits.pace", "MIPS", "Execute at most this many million instructions per second on average.",
            (spec, value) => spec with { Limits = spec.Limits with { PaceMips = SpecText.Pace(value.What, value.Text) } }),
        One("--max-icount", "limits.max-icount", "N", "End the run after N instructions.",
            (spec, value) => spec with { Limits = spec.Limits with { IcountMax = SpecText.Count(value.What, value.Text) } }),
        One("--digest-every", "digest-every", "N", "Take a digest of the machine's state every N instructions; into the statistics, or on standard error. 0: none.",
            (spec, value) => spec with { DigestEvery = SpecText.CountOrNone(value.What, value.Text) }),
        One("--stats", "stats", "FILE", "Write statistics of the run to this file, as JSON.", (spec, value) => spec with { Stats = value.Path }),
    ];

    private static VmSetting One(string flag, string key, string form, string help, Func<VmSpec, WrittenValue, VmSpec> set) =>
        new(flag, key, form, help, IsList: false, (spec, values) => set(spec, values[^1]));

    private static VmSetting List(string flag, string key, string form, string help, Func<VmSpec, IReadOnlyList<WrittenValue>, VmSpec> set) =>
        new(flag, key, form, help, IsList: true, set);
}
