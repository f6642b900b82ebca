using System.Collections.Immutable;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using FtAkka.Actors.Configuration;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Cpu.Architecture;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// A VM as every node must know it to build the same machine and, when live, to open the same devices. Travels as JSON in the offer of a copy;
/// what another version adds or lacks is refused rather than guessed.
/// </summary>
internal sealed record VmProfile
{
    private static readonly JsonSerializerOptions Format = new() { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    /// <summary>A disk: where it is, and what the guest was told of it.</summary>
    public sealed record Disk(string Path, bool ReadOnly, ulong CapacitySectors);

    /// <summary>A network card.</summary>
    public sealed record Nic(NicTarget Target, string? Name, bool Listen, string Mac, ushort Mtu);

    /// <summary>Name of the VM.</summary>
    [JsonRequired]
    public string Name { get; init; } = "";

    /// <summary>CPU model.</summary>
    [JsonRequired]
    public string CpuModel { get; init; } = "";

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
        Nics = [.. Nics.Select(nic => new NetOptions { Mac = [.. Convert.FromHexString(nic.Mac)], Mtu = nic.Mtu })],
    };

    /// <summary>The profile of a VM that is to start now.</summary>
    /// <exception cref="CommandFailedException">Something is missing or refused.</exception>
    public static VmProfile Of(VmSpec spec)
    {
        VmComposition.CheckCpu(spec.CpuModel);
        if (spec.Console.Target is ConsoleTarget.Unix or ConsoleTarget.File)
        {
            throw new CommandFailedException("A VM on a node has its console with the node: attach by 'ftakka vm console', and leave 'console' out of its file.");
        }
        var profile = new VmProfile
        {
            Name = spec.Name,
            CpuModel = spec.CpuModel,
            MemoryBytes = spec.MemoryBytes,
            CommandLine = KernelCommandLine.Compose(spec.Append),
            BootUnixSeconds = DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
            RngSeed = spec.RngSeed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
            Disks = [.. spec.Disks.Select(DiskOf)],
            Nics = [.. spec.Nics.Select((nic, i) => new Nic(nic.Target, nic.Name, nic.Listen,
                Convert.ToHexString((nic.Mac ?? VmComposition.MacOf(spec.Name, i)).AsSpan()), nic.Mtu))],
        };
        return profile.FindError() is { } wrong ? throw new CommandFailedException(wrong) : profile;
    }

    /// <summary>Reads an offered profile; null with what is wrong with it, or why this host cannot run it.</summary>
    public static VmProfile? TryRead(string text, out string refusal)
    {
        refusal = "";
        try
        {
            VmProfile profile = JsonSerializer.Deserialize<VmProfile>(text, Format) ?? throw new JsonException("It is empty.");
            VmComposition.CheckCpu(profile.CpuModel);
            refusal = profile.FindError() ?? "";
            return refusal.Length == 0 ? profile : null;
        }
        catch (Exception wrong) when (wrong is JsonException or FormatException or CommandFailedException)
        {
            refusal = wrong is CommandFailedException ? wrong.Message : $"The offered profile is not understood ({wrong.Message}): both nodes must run the same version of FtAkka.";
            return null;
        }
    }

    /// <summary>The profile as text.</summary>
    public string Write() => JsonSerializer.Serialize(this, Format);

    /// <summary>Opens the devices. Disks are shared between the replicas, so that none locks them; a fence keeps the replica that is not live from acting.</summary>
    /// <exception cref="IOException">One cannot be opened; those opened before are closed.</exception>
    public ImmutableArray<DeviceDefinition> OpenDevices(Fence fence, ConsoleScrollback console)
    {
        var opened = new List<IDisposable>();
        try
        {
            var devices = new List<DeviceDefinition>();
            for (int i = 0; i < Disks.Length; i++)
            {
                var disk = new FencedDisk(OpenDisk(Disks[i]), fence);
                opened.Add(disk);
                devices.Add(new DeviceDefinition(DeviceKind.Disk, i, DiskActor.Props(disk), new DiskDialect(i)) { DrainRequest = new DiskProtocol.Drain() });
            }
            for (int i = 0; i < Nics.Length; i++)
            {
                var link = new FencedLink(OpenNic(Nics[i]), fence);
                opened.Add(link);
                devices.Add(new DeviceDefinition(DeviceKind.Nic, i, NicActor.Props(link), new NicDialect(i, [.. Convert.FromHexString(Nics[i].Mac)])));
            }
            var options = new ConsoleOptions { StartOffset = console.End };
            devices.Add(new DeviceDefinition(DeviceKind.Console, (int)ConsoleKind.Serial,
                ConsoleActor.Props(new ScrollbackConsoleLink(console), options), new ConsoleDialect(ConsoleKind.Serial)) { DrainRequest = new ConsoleProtocol.Drain() });
            return [.. devices];
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            opened.ForEach(resource => resource.Dispose());
            throw new IOException(refused.Message, refused);
        }
    }

    private string? FindError() =>
        Name.Length is 0 or > 100 || !Name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_')
            ? $"The VM's name '{Name}' may have letters, digits, '-' and '_' only."
            : Machine.FindError();

    private static Disk DiskOf(DiskSpec spec)
    {
        string path = Path.GetFullPath(spec.Path);
        try
        {
            using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ReadOnly = spec.ReadOnly, Exclusive = false, ConcurrentRequests = 1 });
            return new Disk(path, spec.ReadOnly, image.CapacitySectors);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot open the disk {path}: {refused.Message}", refused);
        }
    }

    private static RawDiskImage OpenDisk(Disk disk)
    {
        RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(disk.Path) { ReadOnly = disk.ReadOnly, Exclusive = false });
        if (image.CapacitySectors == disk.CapacitySectors)
        {
            return image;
        }
        image.Dispose();
        throw new IOException($"{disk.Path} has another size than when the VM started: is it the same disk on both nodes?");
    }

    private static IFrameLink OpenNic(Nic nic) => nic.Target switch
    {
        NicTarget.None => new NoLink(),
        NicTarget.Tap => TapLink.Open(nic.Name!),
        NicTarget.Unix => new UnixStreamLink(nic.Name!, nic.Listen ? UnixStreamRole.Server : UnixStreamRole.Client),
        _ => throw new ArgumentException($"Unknown network {nic.Target}.", nameof(nic)),
    };
}
