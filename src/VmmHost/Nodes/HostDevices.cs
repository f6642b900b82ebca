using System.Collections.Immutable;
using System.Net.Sockets;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>The devices of a real host: disk images, TAP and unix sockets.</summary>
/// <param name="diskDirectory">Where this host's copies of separate disks are whose paths are relative.</param>
/// <param name="allowed">What VMs of other nodes may name.</param>
internal sealed class HostDevices(string diskDirectory, AllowedPaths allowed) : INodeDevices
{
    /// <summary>Stands beside an image while it is being copied to: half of another disk must not be taken for one.</summary>
    private const string IncompleteMark = ".incomplete";

    /// <summary>The profile of a VM that is to start now.</summary>
    /// <param name="spec">Its description.</param>
    /// <param name="diskDirectory">See <see cref="HostDevices"/>.</param>
    /// <exception cref="CommandFailedException">Something is missing or refused.</exception>
    public static VmProfile ProfileOf(VmSpec spec, string diskDirectory)
    {
        if (spec.Console.Target is ConsoleTarget.Unix or ConsoleTarget.File)
        {
            throw new CommandFailedException("A VM on a node has its console with the node: attach by 'ftakka vm console', and leave 'console' out of its file.");
        }
        if (spec.VirtioConsole.Target != ConsoleTarget.None || spec.Limits != new VmLimits() || spec.DigestEvery is not null || spec.Stats is not null)
        {
            throw new CommandFailedException("A VM on a node takes no 'virtio-console', 'limits', 'digest-every' or 'stats': leave them out of its file.");
        }
        VmProfile profile = VmComposition.ProfileOf(spec, (disk, _) => DiskOf(disk, diskDirectory));
        return profile.FindError() is { } wrong ? throw new CommandFailedException(wrong) : profile;
    }

    /// <inheritdoc/>
    public void Admit(VmProfile profile)
    {
        foreach (VmProfile.Disk disk in profile.Disks)
        {
            allowed.Require(disk.Separate ? PathOf(disk) : disk.Path);
            if (disk.Separate)
            {
                allowed.Require(PathOf(disk) + IncompleteMark);
            }
        }
        foreach (VmProfile.Nic nic in profile.Nics.Where(nic => nic.Target == NicTarget.Unix))
        {
            allowed.Require(nic.Name!);
        }
    }

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> Open(VmProfile profile, Fence fence, ConsoleScrollback console)
    {
        using var opener = new DeviceOpener(fence);
        try
        {
            for (int i = 0; i < profile.Disks.Length; i++)
            {
                OpenLive(opener, i, profile.Disks[i]);
            }
            for (int i = 0; i < profile.Nics.Length; i++)
            {
                opener.OpenNic(i, profile.Nics[i]);
            }
            opener.OpenConsole(ConsoleKind.Serial, new ScrollbackConsoleLink(console), new ConsoleOptions { StartOffset = console.End });
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            throw new IOException(refused.Message, refused);
        }
        opener.HandOver();
        return opener.Devices;
    }

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile)
    {
        using var opener = new DeviceOpener(Fence.None);
        try
        {
            for (int i = 0; i < profile.Disks.Length; i++)
            {
                if (profile.Disks[i] is { Separate: true } disk)
                {
                    // What the guest may only read is written here, by the copy.
                    OpenSeparate(opener, i, disk with { ReadOnly = false });
                    File.WriteAllText(PathOf(disk) + IncompleteMark, $"A copy of a disk of the VM {profile.Name}, begun and not completed.\n");
                }
            }
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new IOException(refused.Message, refused);
        }
        opener.HandOver();
        return opener.Devices;
    }

    /// <inheritdoc/>
    public void OwnDisksComplete(VmProfile profile)
    {
        foreach (VmProfile.Disk disk in profile.Disks.Where(disk => disk.Separate))
        {
            File.Delete(PathOf(disk) + IncompleteMark);
        }
    }

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

    /// <summary>Opens a disk of a VM that is live here.</summary>
    private void OpenLive(DeviceOpener opener, int index, VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        if (!disk.Separate)
        {
            if (opener.OpenSharedDisk(index, disk.Path, disk.ReadOnly).CapacitySectors != disk.CapacitySectors)
            {
                throw new IOException($"{disk.Path} has another size than when the VM started: is it the same disk on both nodes?");
            }
        }
        else if (File.Exists(path + IncompleteMark))
        {
            throw new IOException($"{path} is half of a copy that was cut off ({path}{IncompleteMark} says so): start the VM on another node, which makes it complete.");
        }
        else
        {
            OpenSeparate(opener, index, disk);
        }
    }

    /// <summary>Opens this host's copy. Locked: two replicas on one file, by a mistake of the configuration, would destroy it.</summary>
    private void OpenSeparate(DeviceOpener opener, int index, VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        ulong bytes = disk.CapacitySectors * BlockProtocol.SectorBytes;
        if (!File.Exists(path))
        {
            throw new IOException($"there is no {path}. A disk that is not shared needs an image on each node, which 'truncate -s {bytes} {path}' makes; its content is copied.");
        }
        ulong actual = opener.OpenDisk(index, new RawDiskOptions(path) { ReadOnly = disk.ReadOnly, Exclusive = true }).CapacitySectors * BlockProtocol.SectorBytes;
        if (actual != bytes)
        {
            throw new IOException($"{path} has {actual} bytes, and the disk {bytes}: 'truncate -s {bytes} {path}' gives it the right size; its content is copied.");
        }
    }
}
