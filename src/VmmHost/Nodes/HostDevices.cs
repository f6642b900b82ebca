using System.Collections.Immutable;
using System.Net.Sockets;
using System.Security.Cryptography;
using FtAkka.Actors.Configuration;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>The devices of a real host: disk images, TAP and unix sockets.</summary>
internal sealed class HostDevices : INodeDevices
{
    /// <summary>
    /// A bridge drops what comes from a TAP interface that has only just been opened, until the kernel has noticed that it is up, which takes a
    /// loaded host a second and more. A guest that says nothing by itself would stay unreachable if only the first announcement were made.
    /// </summary>
    private static readonly ImmutableArray<TimeSpan> AnnounceAgain = [.. new[] { 10, 20, 50, 100, 200, 400, 800, 1500, 3000 }.Select(ms => TimeSpan.FromMilliseconds(ms))];

    /// <summary>The profile of a VM that is to start now.</summary>
    /// <exception cref="CommandFailedException">Something is missing or refused.</exception>
    public static VmProfile ProfileOf(VmSpec spec)
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
            Disks = [.. spec.Disks.Select(DiskOf)],
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
                RawDiskImage disk = OpenDisk(disks[i], fence);
                opened.Add(disk);
                devices.Add(new DeviceDefinition(DeviceKind.Disk, i, DiskActor.Props(disk).WithDispatcher(DiskActor.DispatcherId), new DiskDialect(i)) { DrainRequest = new DiskProtocol.Drain() });
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

    private static VmProfile.Disk DiskOf(DiskSpec spec)
    {
        string path = Path.GetFullPath(spec.Path);
        try
        {
            using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ReadOnly = spec.ReadOnly, Exclusive = false, ConcurrentRequests = 1, RefuseOtherFormats = spec.Format is null });
            return new VmProfile.Disk(path, spec.ReadOnly, image.CapacitySectors);
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

    private static IFrameLink OpenNic(VmProfile.Nic nic, Fence fence) => nic.Target switch
    {
        NicTarget.None => new NoLink(),
        NicTarget.Tap => TapLink.Open(nic.Name!, fence),
        NicTarget.Unix => new UnixStreamLink(nic.Name!, nic.Listen ? UnixStreamRole.Server : UnixStreamRole.Client, fence),
        _ => throw new ArgumentException($"Unknown network {nic.Target}.", nameof(nic)),
    };
}
