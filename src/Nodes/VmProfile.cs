using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using FtAkka.Cpu;
using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Nodes.Labels;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>
/// A VM as every node must know it to build the same machine and, when live, to open the same devices. Travels as JSON in the offer of a copy;
/// what another version adds or lacks is refused rather than guessed.
/// </summary>
public sealed record VmProfile
{
    private const int NameMax = 100, CpuModelMax = 100;

    /// <summary>The room that the boot protocol has for a command line, with its end.</summary>
    private const int CommandLineMax = 0xFFFF;

    /// <summary>A path of Linux with its end (PATH_MAX).</summary>
    private const int PathMax = 4096;

    /// <summary>A pebibyte: more than a file system of today has for one image.</summary>
    private const ulong DiskSectorsMax = 1UL << 41;

    /// <summary>A network that passes IPv6 takes at least so much (RFC 8200).</summary>
    private const ushort MtuMin = 1280;

    private const int MacDigits = 12;

    private static readonly JsonSerializerOptions Format = new() { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    /// <summary>A disk: where it is, and what the guest was told of it.</summary>
    /// <param name="Path">Image file or device. Of a separate disk it may be relative: each node has a folder for those.</param>
    /// <param name="ReadOnly">The guest may not write.</param>
    /// <param name="CapacitySectors">Size in sectors of 512 bytes.</param>
    /// <param name="Separate">Each node has its own copy.</param>
    /// <param name="BackupReads">The backup reads from its own copy.</param>
    /// <param name="Image">Its identity (<see cref="DiskLabel.Image"/>); null of a disk that the guest may only read, and before a node has looked at it.</param>
    public sealed record Disk(string Path, bool ReadOnly, ulong CapacitySectors, bool Separate = false, bool BackupReads = false, string? Image = null);

    /// <summary>A network card.</summary>
    public sealed record Nic(NicTarget Target, string? Name, bool Listen, string Mac, ushort Mtu);

    /// <summary>Name of the VM.</summary>
    [JsonRequired]
    public string Name { get; init; } = "";

    /// <summary>CPU model.</summary>
    [JsonRequired]
    public string CpuModel { get; init; } = "";

    /// <summary>Number of the definitions under which its CPU runs (<see cref="CpuSemantics"/>). Two replicas of different numbers would part at the first difference.</summary>
    [JsonRequired]
    public int Semantics { get; init; } = CpuSemantics.Current;

    /// <summary>RAM.</summary>
    [JsonRequired]
    public ulong MemoryBytes { get; init; }

    /// <summary>Kernel command line.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>Time of day at power-on.</summary>
    public long BootUnixSeconds { get; init; }

    /// <summary>Seed of the guest's randomness.</summary>
    public ulong RngSeed { get; init; }

    /// <summary>What follows a reboot.</summary>
    public EndPolicy OnReboot { get; init; } = EndPolicy.Restart;

    /// <summary>What follows a crash.</summary>
    public EndPolicy OnCrash { get; init; }

    /// <summary>What follows when the guest switches itself off.</summary>
    public EndPolicy OnPowerOff { get; init; }

    /// <summary>Disks in order.</summary>
    public ImmutableArray<Disk> Disks { get; init; } = [];

    /// <summary>Network cards in order.</summary>
    public ImmutableArray<Nic> Nics { get; init; } = [];

    /// <summary>The disks as the protocol knows them.</summary>
    [JsonIgnore]
    public ImmutableArray<ProtectedDisk> ProtectedDisks =>
        [.. Disks.Select(disk => new ProtectedDisk(disk.CapacitySectors, disk.Separate ? DiskSharing.Separate : DiskSharing.Shared, disk.BackupReads))];

    /// <summary>The machine to build.</summary>
    [JsonIgnore]
    public MachineConfig Machine => new()
    {
        MemoryBytes = MemoryBytes,
        CpuModelName = CpuModel,
        CommandLine = CommandLine,
        BootUnixSeconds = BootUnixSeconds,
        RngSeed = RngSeed,
        OnReboot = OnReboot,
        OnCrash = OnCrash,
        OnPowerOff = OnPowerOff,
        Disks = [.. Disks.Select((disk, i) => new BlockOptions
        {
            CapacitySectors = disk.CapacitySectors, ReadOnly = disk.ReadOnly, Identity = $"ftakka-disk{i.ToString(CultureInfo.InvariantCulture)}",
        })],
        Nics = [.. Nics.Select(nic => new NetOptions { Mac = [.. Convert.FromHexString(nic.Mac)], Mtu = nic.Mtu, Segmentation = true })],
    };

    /// <summary>Reads an offered profile; null with what is wrong with it, or why this host cannot run it. Whatever the text is, it throws nothing.</summary>
    public static VmProfile? TryRead(string text, out string refusal)
    {
        try
        {
            VmProfile profile = JsonSerializer.Deserialize<VmProfile>(text, Format) ?? throw new JsonException("It is empty.");
            refusal = profile.WhyOtherSemantics() ?? profile.FindErrorInNames() ?? Cpu.Architecture.CpuModel.WhyNotHere(profile.CpuModel) ?? profile.FindError() ?? "";
            return refusal.Length == 0 ? profile : null;
        }
        // A text that is no UTF-16 is an argument that the reader refuses.
        catch (Exception wrong) when (wrong is JsonException or ArgumentException or NotSupportedException)
        {
            refusal = $"The offered profile is not understood ({wrong.Message}): both nodes must run the same version of FtAkka.";
            return null;
        }
    }

    private string? WhyOtherSemantics() => Semantics == CpuSemantics.Current
        ? null
        : $"The VM runs under CPU semantics {Semantics}, and this node under {CpuSemantics.Current}: both nodes must run the same version of FtAkka.";

    /// <summary>The profile as text.</summary>
    public string Write() => JsonSerializer.Serialize(this, Format);

    /// <summary>Whether a VM may have this name. It is a part of file names and of addresses.</summary>
    public static bool IsName([NotNullWhen(true)] string? name) =>
        name is { Length: > 0 and <= NameMax } && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_');

    /// <summary>What is wrong with it, or null. Every part of it is looked at, since a peer may have written it.</summary>
    public string? FindError() => FindErrorInNames() ?? FindErrorInDisks() ?? FindErrorInNics() ?? Machine.FindError();

    /// <summary>Whether a copy of the machine may have so many pages: those of its RAM, and behind them those of the files that it boots from.</summary>
    public bool MayHavePages(long pages) =>
        pages >= (long)(MemoryBytes / GuestMemory.PageSizeBytes) && pages - (long)(MemoryBytes / GuestMemory.PageSizeBytes) <= BootFiles.PageCountMax;

    private string? FindErrorInNames()
    {
        if (!IsName(Name))
        {
            return $"The VM's name '{Name}' may have letters, digits, '-' and '_' only, and at most {NameMax} of them.";
        }
        if (CpuModel is not { Length: > 0 and <= CpuModelMax })
        {
            return $"The name of the CPU model is missing, or longer than {CpuModelMax} characters.";
        }
        return CommandLine is { Length: <= CommandLineMax } ? null : $"The kernel's command line is missing, or longer than {CommandLineMax} characters.";
    }

    private string? FindErrorInDisks()
    {
        if (Disks.IsDefault)
        {
            return "The list of disks is missing.";
        }
        for (int i = 0; i < Disks.Length; i++)
        {
            if (Disks[i] is not { } disk || !IsPath(disk.Path))
            {
                return $"Disk {i} has no path, or one that is longer than {PathMax - 1} characters or has control characters.";
            }
            if (disk.CapacitySectors is 0 or > DiskSectorsMax)
            {
                return $"Disk {i} has {disk.CapacitySectors} sectors; it must have at least one, and at most {DiskSectorsMax}.";
            }
            if (disk.Image is { } image && !DiskLabel.IsIdentity(image))
            {
                return $"Disk {i} has an identity that is not of 32 hexadecimal digits.";
            }
        }
        return null;
    }

    private string? FindErrorInNics()
    {
        if (Nics.IsDefault)
        {
            return "The list of network cards is missing.";
        }
        for (int i = 0; i < Nics.Length; i++)
        {
            if (Nics[i] is not { } nic || !Enum.IsDefined(nic.Target) || (nic.Target != NicTarget.None && !IsPath(nic.Name)))
            {
                return $"Network card {i} has no target that this node knows, or its target no name.";
            }
            if (nic.Mac is not { Length: MacDigits } mac || !mac.All(char.IsAsciiHexDigit) || (Convert.FromHexString(mac)[0] & 1) != 0)
            {
                return $"Network card {i} has no MAC address of {MacDigits} hexadecimal digits, or that of a group.";
            }
            if (nic.Mtu < MtuMin)
            {
                return $"Network card {i} has an MTU of {nic.Mtu}; at least {MtuMin} is needed.";
            }
        }
        return null;
    }

    private static bool IsPath([NotNullWhen(true)] string? path) => path is { Length: > 0 and < PathMax } && !path.Any(char.IsControl);
}
