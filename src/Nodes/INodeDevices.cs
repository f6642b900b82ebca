using System.Collections.Immutable;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Fencing;

namespace FtAkka.Nodes;

/// <summary>The devices of a host.</summary>
public interface INodeDevices
{
    /// <summary>Looks at what the VM of another node names, before anything is opened for it: when its copy is offered, and again when it goes live here.</summary>
    /// <exception cref="IOException">This host opens something of it for nobody else.</exception>
    void Admit(VmProfile profile);

    /// <summary>
    /// Looks whether this host has what a VM needs that is to start here, and makes its disks the VM's. Keeps nobody waiting; answered once, on any thread, within a limit of time,
    /// with the reason or null. The profile of the answer names the disks as they are.
    /// </summary>
    void ProveStart(VmProfile profile, Action<VmProfile, string?> answer);

    /// <summary>Proves that a VM whose backup is here, or is to be, could go live: everything that it needs for that is there and can be written to. Answered like <see cref="ProveStart"/>.</summary>
    void ProveBackup(VmProfile profile, Action<string?> answer);

    /// <summary>Opens the devices of a VM that is live here. Shared disks are not locked; a fence keeps the replica that is not live from acting.</summary>
    /// <param name="profile">The VM.</param>
    /// <param name="generation">In which it writes from now on.</param>
    /// <param name="fence">Keeps it from acting while it may not.</param>
    /// <param name="console">Its serial console.</param>
    /// <exception cref="IOException">One cannot be opened; those opened before are closed.</exception>
    ImmutableArray<DeviceDefinition> Open(VmProfile profile, ulong generation, Fence fence, ConsoleScrollback console);

    /// <summary>Opens this host's own copies of the separate disks of a VM whose backup is to be here. They are written to at once, and have no fence: no other replica has them.</summary>
    /// <param name="profile">The VM.</param>
    /// <param name="generation">The generation of the primary whose disks are copied.</param>
    /// <exception cref="IOException">One is missing, has another size, is another VM's or newer, or cannot be opened; those opened before are closed.</exception>
    ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile, ulong generation);

    /// <summary>What <see cref="OpenOwnDisks"/> opened has become the copy that a backup goes live with.</summary>
    /// <exception cref="IOException">That cannot be noted.</exception>
    void OwnDisksComplete(VmProfile profile, ulong generation);
}
