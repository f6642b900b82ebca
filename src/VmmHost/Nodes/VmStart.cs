using FtAkka.GuestKit;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Reads what a node needs to start a VM.</summary>
internal static class VmStart
{
    /// <summary>Reads the VM's file, and its kernel and initrd.</summary>
    /// <param name="file">HOCON file of the VM.</param>
    /// <param name="backup">Node that gets its backup, or null.</param>
    /// <param name="takeOver">Although the arbiter knows an owner that did not end in order.</param>
    /// <param name="diskDirectory">The node's folder for disks that are not shared; empty: none of their paths is relative.</param>
    /// <param name="acceptOldDisk">Although another node has newer images of its disks that are not shared.</param>
    /// <exception cref="CommandFailedException">Something is missing or refused.</exception>
    public static NodeProtocol.Start Read(string file, string? backup, bool takeOver, string diskDirectory = "", bool acceptOldDisk = false)
    {
        try
        {
            VmSpec spec = VmSpecFile.Read(file);
            spec = FetchedKernel.Complete(spec, GuestFolder.Default)
                ?? throw new CommandFailedException("No kernel is given in the VM's file. Give one (kernel = ...), or let './ftakka guest fetch' get Debian's.");
            VmProfile profile = HostDevices.ProfileOf(spec, diskDirectory);
            return new NodeProtocol.Start(profile, VmComposition.Read("kernel", spec.Kernel!), spec.Initrd is { } initrd ? VmComposition.Read("initrd", initrd) : default(ReadOnlyMemory<byte>), backup, takeOver, acceptOldDisk);
        }
        catch (Exception refused) when (refused is SpecException or IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(refused.Message, refused);
        }
    }
}
