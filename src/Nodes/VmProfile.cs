using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>
/// A VM as every node must know it to build the same machine and, when live, to open the same devices. Travels as JSON in the offer of a copy;
/// what another version adds or lacks is refused rather than guessed.
/// </summary>
public sealed record VmProfile
{
    private static readonly JsonSerializerOptions Format = new() { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    /// <summary>A disk: where it is, and what the guest was told of it.</summary>
    /// <param name="Path">Image file or device. Of a separate disk it may be relative: each node has a folder for those.</param>
    /// <param name="ReadOnly">The guest may not write.</param>
    /// <param name="CapacitySectors">Size in sectors of 512 bytes.</param>
    /// <param name="Separate">Each node has its own copy.</param>
    /// <param name="BackupReads">The backup reads from its own copy.</param>
    public sealed record Disk(string Path, bool ReadOnly, ulong CapacitySectors, bool Separate = false, bool BackupReads = false);

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
        Disks = [.. Disks.Select((disk, i) => new BlockOptions
        {
            CapacitySectors = disk.CapacitySectors, ReadOnly = disk.ReadOnly, Identity = $"ftakka-disk{i.ToString(CultureInfo.InvariantCulture)}",
        })],
        Nics = [.. Nics.Select(nic => new NetOptions { Mac = [.. Convert.FromHexString(nic.Mac)], Mtu = nic.Mtu, Segmentation = true })],
    };

    /// <summary>Reads an offered profile; null with what is wrong with it, or why this host cannot run it.</summary>
    public static VmProfile? TryRead(string text, out string refusal)
    {
        refusal = "";
        try
        {
            VmProfile profile = JsonSerializer.Deserialize<VmProfile>(text, Format) ?? throw new JsonException("It is empty.");
            refusal = profile.WhyOtherSemantics() ?? Cpu.Architecture.CpuModel.WhyNotHere(profile.CpuModel) ?? profile.FindError() ?? "";
            return refusal.Length == 0 ? profile : null;
        }
        catch (Exception wrong) when (wrong is JsonException or FormatException)
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

    /// <summary>What is wrong with it, or null.</summary>
    public string? FindError() =>
        Name.Length is 0 or > 100 || !Name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_')
            ? $"The VM's name '{Name}' may have letters, digits, '-' and '_' only."
            : Machine.FindError();
}
