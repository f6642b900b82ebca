using System.Collections.Immutable;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Events;
using FtAkka.Nodes;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Opens the real device actors on simulated storage, network and console.</summary>
internal sealed class SimulatedDevices(ClusterWorld world, SimulatedHost host, long incarnation) : INodeDevices
{
    /// <inheritdoc/>
    public void Admit(VmProfile profile)
    {
        // Simulated hosts have no files but the VM's own.
    }

    /// <inheritdoc/>
    public void ProveStart(VmProfile profile, Action<VmProfile, string?> answer) => answer(profile, Missing(profile));

    /// <inheritdoc/>
    public void ProveBackup(VmProfile profile, Action<string?> answer) => answer(Missing(profile));

    private string? Missing(VmProfile profile) =>
        profile.Disks.Length > 0 && world.Faults.Strikes(FaultKind.DiskNotThere, host) ? "The simulated disk is not there." : null;

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> Open(VmProfile profile, ulong generation, Fence fence, ConsoleScrollback console)
    {
        if (Missing(profile) is { } missing)
        {
            throw new IOException(missing);
        }
        fence = world.Mutant.Fence(fence);
        var devices = ImmutableArray.CreateBuilder<DeviceDefinition>();
        for (int i = 0; i < profile.Disks.Length; i++)
        {
            IDiskBackend storage = world.Mutant.Disk(world.OpenDisk(host, incarnation), host);
            IDiskBackend disk = profile.Disks[i].Separate ? storage : new FencedStorage(storage, fence);
            devices.Add(new DeviceDefinition(DeviceKind.Disk, i, DiskActor.Props(disk), new DiskDialect(i)) { DrainRequest = new DiskProtocol.Drain() });
        }
        for (int i = 0; i < profile.Nics.Length; i++)
        {
            var link = new FencedFrames(world.Lan.Open(host, incarnation), fence);
            devices.Add(new DeviceDefinition(DeviceKind.Nic, i, NicActor.Props(link), new NicDialect(i, [.. Convert.FromHexString(profile.Nics[i].Mac)])));
        }
        if (world.HasOwnDisks || world.Demanded is not null)
        {
            world.Checks.GoesLiveOn(host);
        }
        world.Moments.DevicesOpened(host);
        // A client that was attached elsewhere attaches here, and reads on from where it was.
        world.Outside.ReadConsole(host, console);
        var options = new ConsoleOptions { StartOffset = console.End };
        devices.Add(new DeviceDefinition(DeviceKind.Console, (int)ConsoleKind.Serial,
            ConsoleActor.Props(new SimulatedConsole(world, host, incarnation, console), options), new ConsoleDialect(ConsoleKind.Serial))
        { DrainRequest = new ConsoleProtocol.Drain() });
        return devices.ToImmutable();
    }

    /// <inheritdoc/>
    public ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile, ulong generation)
    {
        var devices = ImmutableArray.CreateBuilder<DeviceDefinition>();
        for (int i = 0; i < profile.Disks.Length; i++)
        {
            if (profile.Disks[i].Separate)
            {
                IDiskBackend storage = world.Mutant.OwnDisk(world.OpenDisk(host, incarnation));
                devices.Add(new DeviceDefinition(DeviceKind.Disk, i, DiskActor.Props(storage), new DiskDialect(i)));
            }
        }
        return devices.ToImmutable();
    }

    /// <inheritdoc/>
    public void OwnDisksComplete(VmProfile profile, ulong generation)
    {
    }
}
