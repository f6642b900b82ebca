using System.Security.Cryptography;
using System.Text;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.HostFiles;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Labels;

/// <summary>
/// Which VM an image belongs to, by a small file beside it, <c>IMAGE.ftakka</c>: one disk, one VM. Of a block device, beside which nothing can lie that other
/// hosts see, it lies in the shared folder. Images that the guest may only read have none. May be used on any thread, and takes as long as the storage does.
/// </summary>
/// <param name="node">Name of this node.</param>
/// <param name="cluster">Identity of the cluster.</param>
/// <param name="sharedDirectory">Folder that all nodes mount.</param>
/// <param name="arbiter">Knows which VMs have ended in order.</param>
public sealed class DiskLabels(string node, string cluster, string sharedDirectory, INodeArbiter arbiter)
{
    /// <summary>Behind the name of the image.</summary>
    public const string Suffix = ".ftakka";

    private const int TriesMax = 8;

    /// <summary>Gives an image to a VM that is about to start: it is the VM's, or nobody's, or that of a VM which has ended in order.</summary>
    /// <param name="vm">The VM.</param>
    /// <param name="image">The image.</param>
    /// <param name="separate">Each node has its own.</param>
    /// <returns>The disk's identity.</returns>
    /// <exception cref="IOException">It belongs to another VM, or its label cannot be read or written.</exception>
    public string Take(string vm, string image, bool separate)
    {
        string path = PathOf(image, separate);
        for (int tries = 0; tries < TriesMax; tries++)
        {
            if (Read(path) is not { } found)
            {
                var made = new DiskLabel(cluster, vm, DiskLabel.NewIdentity());
                if (DurableFile.TryCreate(path, made.Write()))
                {
                    DurableFile.SyncFolder(Path.GetDirectoryName(path)!);
                    return made.Image;
                }
                continue;
            }
            if (IsOf(found, vm))
            {
                return found.Image;
            }
            if (TryTakeOver(vm, image, path, found) is { } taken)
            {
                return taken.Image;
            }
        }
        throw new IOException($"{path} comes and goes: who else starts a VM with {image}?");
    }

    /// <summary>Refuses an image that is not the disk of this identity, or not this VM's.</summary>
    /// <exception cref="IOException">It is not, or its label cannot be read.</exception>
    public void Require(string vm, string image, string? identity)
    {
        string path = PathOf(image, separate: false);
        DiskLabel found = Read(path) ?? throw new IOException(
            $"{image} does not say whose it is: there is no {path}, which the start of {vm} has made beside its image. Is the storage mounted, and the same on all nodes?");
        if (!IsOf(found, vm))
        {
            throw Foreign(image, path, found);
        }
        if (found.Image != identity)
        {
            throw new IOException($"{image} is another image than the one that {vm} was started with: by {path} it is {found.Image}, not {identity ?? "known by name"}. Is the storage the same on all nodes?");
        }
    }

    /// <summary>Refuses this node's own image as the target of a copy, or for a VM that goes live here, where it is another VM's, or has what the copy's source never had.</summary>
    /// <param name="vm">The VM.</param>
    /// <param name="image">The image.</param>
    /// <param name="generation">Generation of the copy's source; of a VM that goes live, its own.</param>
    /// <exception cref="IOException">It must not be written to, or its label cannot be read.</exception>
    public void RequireOwn(string vm, string image, ulong generation)
    {
        string path = PathOf(image, separate: true);
        if (Read(path) is not { } found)
        {
            return;
        }
        if (!IsOf(found, vm))
        {
            RequireFree(image, path, found);
        }
        else if (found.Generation > generation)
        {
            throw new IOException($"{image} is newer: by {path} it was written in generation {found.Generation} of {vm}, and what would be written to it is of generation {generation}. "
                + $"If it is certain that it may be overwritten, remove {path}.");
        }
    }

    /// <summary>Notes that this node's own image has what the VM has written in a generation, from now on.</summary>
    /// <exception cref="IOException">That cannot be written.</exception>
    public void NoteOwn(string vm, string image, string? identity, ulong generation, bool copy)
    {
        string path = PathOf(image, separate: true);
        DurableFile.Replace(path, new DiskLabel(cluster, vm, identity ?? DiskLabel.NewIdentity(), generation, copy).Write());
    }

    /// <summary>Writes a small file beside the image and makes it durable, as a replica that goes live would have to with the image.</summary>
    /// <exception cref="IOException">That cannot be done.</exception>
    public void ProveWritable(string image, bool separate) => WriteLease(PathOf(image, separate));

    /// <summary>Reads the arbiter's record of a VM, and writes a small file beside it.</summary>
    /// <exception cref="IOException">That cannot be done.</exception>
    public void ProveArbiter(string vm)
    {
        _ = arbiter.Newest(vm);
        WriteLease(Path.Combine(sharedDirectory, "arbiter" + Suffix));
    }

    /// <summary>Refuses to write to an image outside of its cluster.</summary>
    /// <exception cref="IOException">It is the disk of a cluster's VM.</exception>
    public static void RequireNone(string image)
    {
        string path = RealPath(image) + Suffix;
        if (Read(path) is { } found)
        {
            throw new IOException($"{image} belongs to the VM {found.Vm} of a cluster, as {path} says. Use a copy of it, or open it for reading only (readonly); or, if the cluster is to have it no more, remove {path}.");
        }
    }

    private void WriteLease(string label) => DurableFile.Replace($"{label}-{node}", Encoding.UTF8.GetBytes($"{node} could write here {DateTimeOffset.UtcNow:O}\n"));

    private bool IsOf(DiskLabel label, string vm) => label.Vm == vm && label.Cluster == cluster;

    /// <summary>
    /// Of several VMs that want what a former one has left, one has its turn: whose file behind that label is there first. The former VM may be about to start again. A start claims its
    /// record before the label is looked at for the last time, when the devices are opened; here the label is written before the record is looked at for the last time. So at least one of
    /// the two sees the other.
    /// </summary>
    /// <returns>The new label; null if the former one is not there any more.</returns>
    private DiskLabel? TryTakeOver(string vm, string image, string path, DiskLabel former)
    {
        RequireFree(image, path, former);
        var taken = new DiskLabel(cluster, vm, DiskLabel.NewIdentity());
        string turn = $"{path}-after-{former.Image}";
        if (!DurableFile.TryCreate(turn, taken.Write()) && Read(turn) is { } other && !IsOf(other, vm))
        {
            throw new IOException($"{image} is being taken by the VM {other.Vm}, as {turn} says. If {other.Vm} is not being started, remove that file.");
        }
        try
        {
            if (Read(path) != former)
            {
                return null;
            }
            DurableFile.Replace(path, taken.Write());
            try
            {
                RequireFree(image, path, former);
                return taken;
            }
            catch
            {
                DurableFile.Replace(path, former.Write());
                throw;
            }
        }
        finally
        {
            File.Delete(turn);
        }
    }

    private void RequireFree(string image, string path, DiskLabel label)
    {
        if (label.Cluster != cluster || (arbiter.Newest(label.Vm) is { } record && !arbiter.HasEnded(label.Vm, record.Generation)))
        {
            throw Foreign(image, path, label);
        }
    }

    private IOException Foreign(string image, string path, DiskLabel label) => new(label.Cluster == cluster
        ? $"{image} belongs to the VM {label.Vm}, as {path} says, and {label.Vm} has not ended in order: two VMs would destroy it. Give this VM another image, or stop {label.Vm} ('ftakka vm stop {label.Vm}'); "
            + $"or, if it is certain that {label.Vm} never runs again, remove {path}."
        : $"{image} belongs to the VM {label.Vm} of another cluster, as {path} says. Give this VM another image; or, if it is certain that the other cluster uses it no more, remove {path}.");

    private static DiskLabel? Read(string path)
    {
        byte[] content;
        try
        {
            content = RegularFile.Read(path, DiskLabel.BytesMax, followLinks: false);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        return DiskLabel.TryRead(content) ?? throw new IOException($"{path} is torn, damaged or no label: it says which VM the image beside it belongs to. If it is certain that no VM uses the image, remove {path}.");
    }

    private string PathOf(string image, bool separate)
    {
        string real = RealPath(image);
        if (FileStatus.Of(real)?.Kind != FileStatus.BlockDevice)
        {
            return real + Suffix;
        }
        // Nodes name a shared device alike; what each has of a disk that is not shared is its own.
        string name = separate ? $"{node}:{real}" : real;
        return Path.Combine(sharedDirectory, $"disk-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))[..32]}{Suffix}");
    }

    /// <summary>Two names of one file have one label.</summary>
    private static string RealPath(string image)
    {
        string full = Path.GetFullPath(image);
        return FileStatus.Of(full)?.Kind == FileStatus.SymbolicLink ? new FileInfo(full).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full : full;
    }
}
