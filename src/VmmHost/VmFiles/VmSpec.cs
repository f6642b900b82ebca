using System.Collections.Immutable;
using FtAkka.Cpu.Architecture;
using FtAkka.Machine;
using FtAkka.Nodes;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>A VM as its owner describes it, in a HOCON file or by flags. Paths are as written; nothing has been opened.</summary>
public sealed record VmSpec
{
    /// <summary>Memory when none is given.</summary>
    public const ulong DefaultMemoryBytes = 256UL << 20;

    /// <summary>Name, for people and for what is derived from it (MAC addresses).</summary>
    public string Name { get; init; } = "vm";

    /// <summary>RAM.</summary>
    public ulong MemoryBytes { get; init; } = DefaultMemoryBytes;

    /// <summary>Path of the kernel: bzImage or ELF vmlinux. Null: none was given.</summary>
    public string? Kernel { get; init; }

    /// <summary>Path of the initial RAM disk, or null.</summary>
    public string? Initrd { get; init; }

    /// <summary>Appended to the kernel's command line.</summary>
    public string Append { get; init; } = "";

    /// <summary>Disks: vda, vdb, ...</summary>
    public ImmutableArray<DiskSpec> Disks { get; init; } = [];

    /// <summary>Network cards: eth0, eth1, ...</summary>
    public ImmutableArray<NicSpec> Nics { get; init; } = [];

    /// <summary>Where the serial console is.</summary>
    public ConsoleSpec Console { get; init; } = new(ConsoleTarget.Stdio, null);

    /// <summary>Where the virtio console (hvc0) is; <see cref="ConsoleTarget.None"/>: the machine has none.</summary>
    public ConsoleSpec VirtioConsole { get; init; } = new(ConsoleTarget.None, null);

    /// <summary>Name of the CPU model.</summary>
    public string CpuModel { get; init; } = Cpu.Architecture.CpuModel.V1Name;

    /// <summary>Seed of everything random in the guest; null for one of the host's choosing.</summary>
    public ulong? RngSeed { get; init; }

    /// <summary>What follows when the guest reboots: restart or stop.</summary>
    public EndPolicy OnReboot { get; init; } = EndPolicy.Restart;

    /// <summary>What follows when the guest has crashed.</summary>
    public EndPolicy OnCrash { get; init; }

    /// <summary>What follows when the guest switches itself off: stop or restart.</summary>
    public EndPolicy OnPowerOff { get; init; }

    /// <summary>What the VM may use of its host.</summary>
    public VmLimits Limits { get; init; } = new();

    /// <summary>Instructions between digests of the machine's state; null for the verb's default.</summary>
    public ulong? DigestEvery { get; init; }

    /// <summary>File for the statistics of the run, or null.</summary>
    public string? Stats { get; init; }
}

/// <summary>What a VM may use of its host, besides its memory.</summary>
/// <param name="PaceMips">Million instructions per second on average; null for no limit.</param>
/// <param name="IcountMax">Instructions after which the run ends; null for no end.</param>
public sealed record VmLimits(ulong? PaceMips = null, ulong? IcountMax = null);

/// <summary>A disk.</summary>
/// <param name="Path">Image file or block device.</param>
/// <param name="Format">Format of the image; null: it was not said, and a file that looks like an image of another format is refused.</param>
/// <param name="ReadOnly">The guest may not write, and the image is opened for reading.</param>
public sealed record DiskSpec(string Path, DiskFormat? Format = null, bool ReadOnly = false)
{
    /// <summary>Whether all nodes reach the same image. Otherwise each has its own copy.</summary>
    public bool Shared { get; init; } = true;

    /// <summary>Of a disk that is not shared: the backup reads from its own copy, and the log has no data.</summary>
    public bool BackupReads { get; init; }

    /// <summary>Of a disk that is not shared: the path as it was written, which each node reads for itself. Otherwise null.</summary>
    public string? NodePath { get; init; }
}

/// <summary>Formats of disk images.</summary>
public enum DiskFormat
{
    /// <summary>Byte N of the disk is byte N of the file.</summary>
    Raw,
}

/// <summary>A network card.</summary>
/// <param name="Target">What it is connected to.</param>
/// <param name="Name">Interface or path, as the target needs.</param>
public sealed record NicSpec(NicTarget Target, string? Name)
{
    /// <summary>Six bytes; null for one derived from the VM's name.</summary>
    public ImmutableArray<byte>? Mac { get; init; }

    /// <summary>For <see cref="NicTarget.Unix"/>: listen on the path instead of connecting to it.</summary>
    public bool Listen { get; init; }

    /// <summary>Largest IP packet.</summary>
    public ushort Mtu { get; init; } = 1500;
}

/// <summary>Where a console is.</summary>
/// <param name="Target">Kind of place.</param>
/// <param name="Path">File or socket, as the target needs.</param>
public sealed record ConsoleSpec(ConsoleTarget Target, string? Path);

/// <summary>Places a console can have.</summary>
public enum ConsoleTarget
{
    /// <summary>Standard input and output of the process.</summary>
    Stdio,

    /// <summary>A unix socket, one client at a time.</summary>
    Unix,

    /// <summary>A file, output only.</summary>
    File,

    /// <summary>Nowhere: output is dropped.</summary>
    None,
}
