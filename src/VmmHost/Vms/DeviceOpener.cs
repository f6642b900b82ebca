using System.Collections.Immutable;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Events;
using FtAkka.Nodes;

namespace FtAkka.VmmHost.Vms;

/// <summary>
/// Opens what the devices of one VM stand on, and says which actors work with it. Until <see cref="HandOver"/> gives the devices to a
/// <see cref="VmActor"/>, whose device actors close what they own, disposing it closes everything. What cannot be opened is an exception of the disk or
/// link, most often an <see cref="IOException"/>.
/// </summary>
/// <param name="fence">Keeps a replica that is not live from acting on network cards and shared disks; <see cref="Fence.None"/> for a VM of no pair.</param>
internal sealed class DeviceOpener(Fence fence) : IDisposable
{
    /// <summary>
    /// A bridge drops what comes from a TAP interface that has only just been opened, until the kernel has noticed that it is up, which takes a
    /// loaded host a second and more. A guest that says nothing by itself would stay unreachable if only the first announcement were made.
    /// </summary>
    private static readonly ImmutableArray<TimeSpan> AnnounceAgain = [.. new[] { 10, 20, 50, 100, 200, 400, 800, 1500, 3000 }.Select(ms => TimeSpan.FromMilliseconds(ms))];

    private readonly List<IDisposable> opened = [];
    private readonly List<DeviceDefinition> devices = [];

    /// <summary>The devices that have been opened.</summary>
    public ImmutableArray<DeviceDefinition> Devices => [.. devices];

    /// <summary>A disk of this VM alone, or of this host alone.</summary>
    public RawDiskImage OpenDisk(int index, RawDiskOptions options)
    {
        RawDiskImage image = Keep(RawDiskImage.Open(options));
        devices.Add(new DeviceDefinition(DeviceKind.Disk, index, DiskActor.Props(image).WithDispatcher(DiskActor.DispatcherId), new DiskDialect(index))
        {
            DrainRequest = new DiskProtocol.Drain(),
        });
        return image;
    }

    /// <summary>A disk whose image all nodes reach: the arbiter decides who writes, and what is written outlives this host.</summary>
    public RawDiskImage OpenSharedDisk(int index, string path, bool readOnly) => OpenDisk(index, SharedDisk(path, readOnly) with { Fence = fence });

    /// <summary>How a disk is opened whose image all nodes reach.</summary>
    public static RawDiskOptions SharedDisk(string path, bool readOnly) => new(path) { ReadOnly = readOnly, Exclusive = false, WriteThrough = true };

    /// <summary>A network card.</summary>
    public void OpenNic(int index, VmProfile.Nic nic)
    {
        IFrameLink link = Keep<IFrameLink>(nic.Target switch
        {
            NicTarget.None => new NoLink(),
            NicTarget.Tap => TapLink.Open(nic.Name!, fence),
            NicTarget.Unix => new UnixStreamLink(nic.Name!, nic.Listen ? UnixStreamRole.Server : UnixStreamRole.Client, fence),
            _ => throw new ArgumentException($"Unknown network {nic.Target}.", nameof(nic)),
        });
        devices.Add(new DeviceDefinition(
            DeviceKind.Nic, index, NicActor.Props(link, AnnounceAgain).WithDispatcher(NicActor.DispatcherId), new NicDialect(index, [.. Convert.FromHexString(nic.Mac)])));
    }

    /// <summary>A console over a link that is open.</summary>
    public void OpenConsole(ConsoleKind kind, IConsoleLink link, ConsoleOptions options) =>
        devices.Add(new DeviceDefinition(DeviceKind.Console, (int)kind, ConsoleActor.Props(Keep(link), options), new ConsoleDialect(kind))
        {
            DrainRequest = new ConsoleProtocol.Drain(),
        });

    /// <summary>From now on the device actors own what was opened.</summary>
    public void HandOver() => opened.Clear();

    /// <summary>Closes what was opened and not handed over.</summary>
    public void Dispose()
    {
        opened.ForEach(resource => resource.Dispose());
        opened.Clear();
    }

    private T Keep<T>(T resource)
        where T : IDisposable
    {
        opened.Add(resource);
        return resource;
    }
}
