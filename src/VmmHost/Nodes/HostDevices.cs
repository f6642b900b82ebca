using System.Collections.Immutable;
using System.Net.Sockets;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Nodes;
using FtAkka.Nodes.HostFiles;
using FtAkka.Nodes.Labels;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>The devices of a real host: disk images, TAP and unix sockets.</summary>
/// <param name="diskDirectory">Where this host's copies of separate disks are whose paths are relative.</param>
/// <param name="allowed">What VMs of other nodes may name.</param>
/// <param name="labels">Whose an image is.</param>
internal sealed class HostDevices(string diskDirectory, AllowedPaths allowed, DiskLabels labels) : INodeDevices
{
    /// <summary>Stands beside an image while it is being copied to: half of another disk must not be taken for one.</summary>
    private const string IncompleteMark = ".incomplete";

    private static readonly TimeSpan ProofTime = TimeSpan.FromSeconds(5);

    private readonly Proofs proofs = new(ProofTime);

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
    public void ProveStart(VmProfile profile, Action<VmProfile, string?> answer)
    {
        VmProfile named = profile;
        proofs.Begin(() => named = ProveStart(profile), refusal => answer(refusal is null ? named : profile, refusal));
    }

    /// <inheritdoc/>
    public void ProveBackup(VmProfile profile, Action<string?> answer) => proofs.Begin(() => ProveBackup(profile), answer);

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> Open(VmProfile profile, ulong generation, Fence fence, ConsoleScrollback console)
    {
        using var opener = new DeviceOpener(fence);
        try
        {
            for (int i = 0; i < profile.Disks.Length; i++)
            {
                OpenLive(opener, profile.Name, generation, i, profile.Disks[i]);
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
    public ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile, ulong generation)
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
                    labels.RequireOwn(profile.Name, PathOf(disk), generation);
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
    public void OwnDisksComplete(VmProfile profile, ulong generation)
    {
        foreach (VmProfile.Disk disk in profile.Disks.Where(disk => disk.Separate))
        {
            if (!disk.ReadOnly)
            {
                labels.NoteOwn(profile.Name, PathOf(disk), disk.Image, generation, copy: true);
            }
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

    /// <summary>Looks at what a VM needs that is to start here, and makes its disks its own.</summary>
    private VmProfile ProveStart(VmProfile profile)
    {
        ProveNics(profile);
        foreach (VmProfile.Disk disk in profile.Disks)
        {
            if (disk.Separate)
            {
                RequireComplete(disk);
                RequireOwnImage(disk);
            }
            ProveDisk(disk);
        }
        return profile with
        {
            Disks = [.. profile.Disks.Select(disk => disk.ReadOnly ? disk : disk with { Image = labels.Take(profile.Name, PathOf(disk), disk.Separate) })],
        };
    }

    private void ProveBackup(VmProfile profile)
    {
        Admit(profile);
        labels.ProveArbiter(profile.Name);
        ProveNics(profile);
        foreach (VmProfile.Disk disk in profile.Disks)
        {
            if (disk.Separate)
            {
                RequireOwnImage(disk);
            }
            else
            {
                ProveDisk(disk);
            }
            if (!disk.ReadOnly)
            {
                labels.ProveWritable(PathOf(disk), disk.Separate);
            }
            if (!disk.ReadOnly && !disk.Separate)
            {
                labels.Require(profile.Name, disk.Path, disk.Image);
            }
        }
    }

    /// <summary>Opens a disk as for a VM that goes live, reads, and closes it. Writes no byte of it.</summary>
    private void ProveDisk(VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        using RawDiskImage image = RawDiskImage.Open((disk.Separate ? OwnDisk(disk) : DeviceOpener.SharedDisk(path, disk.ReadOnly)) with { ConcurrentRequests = 1 });
        if (image.CapacitySectors != disk.CapacitySectors)
        {
            throw OtherSize(path, image.CapacitySectors, disk);
        }
        DiskOutcome read = image.ExecuteAsync(new DiskRequest(0, DiskRequestKind.Read, 0, BlockProtocol.SectorBytes, [])).GetAwaiter().GetResult();
        if (read.Completion.Status != DiskStatus.Ok)
        {
            throw new IOException($"{path} cannot be read: {read.HostError}");
        }
    }

    /// <summary>Looks at what network cards need, without taking it: one that is connected elsewhere, or twice, would disturb its network.</summary>
    private static void ProveNics(VmProfile profile)
    {
        foreach (VmProfile.Nic nic in profile.Nics)
        {
            if (nic.Target == NicTarget.Tap)
            {
                TapLink.Require(nic.Name!);
            }
            else if (nic.Target == NicTarget.Unix && !(nic.Listen ? Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(nic.Name!))) : File.Exists(nic.Name)))
            {
                throw new IOException(nic.Listen ? $"there is no folder for the socket {nic.Name}" : $"there is no socket {nic.Name}: start the program that listens there");
            }
        }
    }

    /// <summary>Opens a disk of a VM that is live here.</summary>
    private void OpenLive(DeviceOpener opener, string vm, ulong generation, int index, VmProfile.Disk disk)
    {
        if (!disk.Separate)
        {
            ulong sectors = opener.OpenSharedDisk(index, disk.Path, disk.ReadOnly).CapacitySectors;
            if (sectors != disk.CapacitySectors)
            {
                throw OtherSize(disk.Path, sectors, disk);
            }
            if (!disk.ReadOnly)
            {
                labels.Require(vm, disk.Path, disk.Image);
            }
            return;
        }
        RequireComplete(disk);
        OpenSeparate(opener, index, disk);
        if (!disk.ReadOnly)
        {
            labels.RequireOwn(vm, PathOf(disk), generation);
            labels.NoteOwn(vm, PathOf(disk), disk.Image, generation, copy: false);
        }
    }

    private static IOException OtherSize(string path, ulong sectors, VmProfile.Disk disk) => new(
        $"{path} has {sectors * BlockProtocol.SectorBytes} bytes, and {disk.CapacitySectors * BlockProtocol.SectorBytes} when the VM started: is it the same disk on both nodes?");

    private void RequireComplete(VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        if (File.Exists(path + IncompleteMark))
        {
            throw new IOException($"{path} is half of a copy that was cut off ({path}{IncompleteMark} says so): start the VM on another node, which makes it complete.");
        }
    }

    /// <summary>Opens this host's copy. Locked: two replicas on one file, by a mistake of the configuration, would destroy it.</summary>
    private void OpenSeparate(DeviceOpener opener, int index, VmProfile.Disk disk)
    {
        RequireOwnImage(disk);
        ulong sectors = opener.OpenDisk(index, OwnDisk(disk)).CapacitySectors;
        if (sectors != disk.CapacitySectors)
        {
            throw OtherOwnSize(PathOf(disk), (long)(sectors * BlockProtocol.SectorBytes), disk);
        }
    }

    private RawDiskOptions OwnDisk(VmProfile.Disk disk) => new(PathOf(disk)) { ReadOnly = disk.ReadOnly, Exclusive = true };

    /// <summary>Looks at this host's copy without opening it: a backup has it open, and locked.</summary>
    private void RequireOwnImage(VmProfile.Disk disk)
    {
        string path = PathOf(disk);
        ulong bytes = disk.CapacitySectors * BlockProtocol.SectorBytes;
        FileStatus status = FileStatus.Of(path, followLinks: true)
            ?? throw new IOException($"there is no {path}. A disk that is not shared needs an image on each node, which 'truncate -s {bytes} {path}' makes; its content is copied.");
        if (status.IsRegular && ((ulong)status.Bytes + BlockProtocol.SectorBytes - 1) / BlockProtocol.SectorBytes != disk.CapacitySectors)
        {
            throw OtherOwnSize(path, status.Bytes, disk);
        }
    }

    private static IOException OtherOwnSize(string path, long actual, VmProfile.Disk disk)
    {
        ulong bytes = disk.CapacitySectors * BlockProtocol.SectorBytes;
        return new IOException($"{path} has {actual} bytes, and the disk {bytes}: 'truncate -s {bytes} {path}' gives it the right size; its content is copied.");
    }
}
