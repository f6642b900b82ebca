using System.Collections.Immutable;
using System.Net.Sockets;
using System.Security.Cryptography;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>The devices of a real host: disk images, TAP and unix sockets.</summary>
/// <param name="diskDirectory">Where this host's copies of separate disks are whose paths are relative.</param>
internal sealed class HostDevices(string diskDirectory) : INodeDevices
{
    /// <summary>Stands beside an image while it is being copied to: half of another disk must not be taken for one.</summary>
    private const string IncompleteMark = ".incomplete";

    /// <summary>
    /// A bridge drops what comes from a TAP interface that has only just been opened, until the kernel has noticed that it is up, which takes a
    /// loaded host a second and more. A guest that says nothing by itself would stay unreachable if only the first announcement were made.
    /// </summary>
    private static readonly ImmutableArray<TimeSpan> AnnounceAgain = [.. new[] { 10, 20, 50, 100, 200, 400, 800, 1500, 3000 }.Select(ms => TimeSpan.FromMilliseconds(ms))];

    /// <summary>The profile of a VM that is to start now.</summary>
    /// <param name="spec">Its description.</param>
    /// <param name="diskDirectory">See <see cref="HostDevices"/>.</param>
    /// <exception cref="CommandFailedException">Something is missing or refused.</exception>
    public static VmProfile ProfileOf(VmSpec spec, string diskDirectory)
    {
        VmComposition.CheckCpu(spec.CpuModel);
        if (spec.Console.Target is ConsoleTarget.Unix or ConsoleTarget.File)
        {
            throw new CommandFailedException("A VM on a node has its console with the node: attach by 'ftakka vm console', and leave 'console' out of its file.");
        }
        if (spec.VirtioConsole.Target != ConsoleTarget.None || spec.Limits != new VmLimits() || spec.DigestEvery is not null || spec.Stats is not null)
        {
            throw new CommandFailedException("A VM on a node takes no 'virtio-console', 'limits', 'digest-every' or 'stats': leave them out of its file.");
        }
        var profile = new VmProfile
        {
            Name = spec.Name,
            CpuModel = spec.CpuModel,
            MemoryBytes = spec.MemoryBytes,
            CommandLine = KernelCommandLine.Compose(spec.Append),
            BootUnixSeconds = DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
            RngSeed = spec.RngSeed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
            Disks = [.. spec.Disks.Select(disk => DiskOf(disk, diskDirectory))],
            Nics = [.. spec.Nics.Select((nic, i) => new VmProfile.Nic(nic.Target, nic.Name, nic.Listen,
                Convert.ToHexString((nic.Mac ?? VmComposition.MacOf(spec.Name, i)).AsSpan()), nic.Mtu))],
        };
        return profile.FindError() is { } wrong ? throw new CommandFailedException(wrong) : profile;
    }

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> Open(VmProfile profile, Fence fence, ConsoleScrollback console)
    {
        ImmutableArray<VmProfile.Disk> disks = profile.Disks;
        ImmutableArray<VmProfile.Nic> nics = profile.Nics;
        var opened = new List<IDisposable>();
        try
        {
            var devices = new List<DeviceDefinition>();
            for (int i = 0; i < disks.Length; i++)
            {
                RawDiskImage disk = disks[i].Separate ? OpenLive(disks[i]) : OpenDisk(disks[i], fence);
                opened.Add(disk);
                devices.Add(DefinitionOf(disk, i));
            }
            for (int i = 0; i < nics.Length; i++)
            {
                IFrameLink link = OpenNic(nics[i], fence);
                opened.Add(link);
                devices.Add(new DeviceDefinition(DeviceKind.Nic, i, NicActor.Props(link, AnnounceAgain).WithDispatcher(NicActor.DispatcherId), new NicDialect(i, [.. Convert.FromHexString(nics[i].Mac)])));
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

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile)
    {
        var opened = new List<RawDiskImage>();
        try
        {
            var devices = new List<DeviceDefinition>();
            for (int i = 0; i < profile.Disks.Length; i++)
            {
                if (profile.Disks[i] is { Separate: true } disk)
                {
                    // What the guest may only read is written here, by the copy.
                    RawDiskImage image = OpenSeparate(disk with { ReadOnly = false });
                    opened.Add(image);
                    File.WriteAllText(PathOf(disk) + IncompleteMark, $"A copy of a disk of the VM {profile.Name}, begun and not completed.\n");
                    devices.Add(DefinitionOf(image, i));
                }
            }
            return [.. devices];
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            opened.ForEach(image => image.Dispose());
            throw new IOException(refused.Message, refused);
        }
    }

    /// <inheritdoc/>
    public void OwnDisksComplete(VmProfile profile)
    {
        foreach (VmProfile.Disk disk in profile.Disks.Where(disk => disk.Separate))
        {
            File.Delete(PathOf(disk) + IncompleteMark);
        }
    }

    private static DeviceDefinition DefinitionOf(RawDiskImage image, int index) =>
        new(DeviceKind.Disk, index, DiskActor.Props(image).WithDispatcher(DiskActor.DispatcherId), new DiskDialect(index)) { DrainRequest = new DiskProtocol.Drain() };

    private string PathOf(VmProfile.Disk disk) => Path.Combine(diskDirectory, disk.Path);

    private static VmProfile.Disk DiskOf(DiskSpec spec, string diskDirectory)
    {
        string path = spec.NodePath is { } own ? Path.Combine(diskDirectory, own) : Path.GetFullPath(spec.Path);
        try
        {
            using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ReadOnly = spec.ReadOnly, Exclusive = false, ConcurrentRequests = 1, RefuseOtherFormats = spec.Format is null });
            return new VmProfile.Disk(spec.NodePath ?? path, spec.ReadOnly, image.CapacitySectors, Separate: !spec.Shared, spec.BackupReads);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot open the disk {path}: {refused.Message}", refused);
        }
    }

    private static RawDiskImage OpenDisk(VmProfile.Disk disk, Fence fence)
    {
        RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(disk.Path) { ReadOnly = disk.ReadOnly, Exclusive = false, Fence = fence, WriteThrough = true });
        if (image.CapacitySectors == disk.CapacitySectors)
        {
            return image;
        }
        image.Dispose();
        throw new IOException($"{disk.Path} has another size than when the VM started: is it the same disk on both nodes?");
    }

    private RawDiskImage OpenLive(VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        return File.Exists(path + IncompleteMark)
            ? throw new IOException($"{path} is half of a copy that was cut off ({path}{IncompleteMark} says so): start the VM on another node, which makes it complete.")
            : OpenSeparate(disk);
    }

    /// <summary>Opens this host's copy. Locked: two replicas on one file, by a mistake of the configuration, would destroy it.</summary>
    private RawDiskImage OpenSeparate(VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        ulong bytes = disk.CapacitySectors * BlockProtocol.SectorBytes;
        if (!File.Exists(path))
        {
            throw new IOException($"there is no {path}. A disk that is not shared needs an image on each node, which 'truncate -s {bytes} {path}' makes; its content is copied.");
        }
        RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ReadOnly = disk.ReadOnly, Exclusive = true });
        if (image.CapacitySectors == disk.CapacitySectors)
        {
            return image;
        }
        ulong actual = image.CapacitySectors * BlockProtocol.SectorBytes;
        image.Dispose();
        throw new IOException($"{path} has {actual} bytes, and the disk {bytes}: 'truncate -s {bytes} {path}' gives it the right size; its content is copied.");
    }

    private static IFrameLink OpenNic(VmProfile.Nic nic, Fence fence) => nic.Target switch
    {
        NicTarget.None => new NoLink(),
        NicTarget.Tap => TapLink.Open(nic.Name!, fence),
        NicTarget.Unix => new UnixStreamLink(nic.Name!, nic.Listen ? UnixStreamRole.Server : UnixStreamRole.Client, fence),
        _ => throw new ArgumentException($"Unknown network {nic.Target}.", nameof(nic)),
    };
}
