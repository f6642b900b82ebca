using System.Collections.Immutable;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors;
using FtAkka.Nodes;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A VM beside the cluster's own, which something is wrong with: started, or offered by A to B.</summary>
internal static class SecondVm
{
    public const string Name = "other";

    /// <summary>Longer than a busy host needs for an answer.</summary>
    public static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(60);

    /// <summary>A profile that is in order.</summary>
    public static VmProfile Profile { get; } = new() { Name = Name, CpuModel = "ftvm64-v1", MemoryBytes = 16 << 20 };

    /// <summary>The request to start it.</summary>
    public static NodeProtocol.Start Start(Cluster cluster, string? disk = null)
    {
        string file = cluster.Path($"{Name}.hocon");
        File.WriteAllText(file, $"name = {Name}\nmemory = 16M\nkernel = \"{cluster.Path("kernel")}\"\nappend = \"workload=console\"\nrng-seed = 1\n"
            + (disk is null ? "" : $"disks = [ \"{disk}\" ]\n"));
        return VmStart.Read(file, null, takeOver: false);
    }

    /// <summary>Path of the record of its first generation.</summary>
    public static string Record(Cluster cluster) => Path.Combine(cluster.Files.Folder, "shared", $"{Name}.1.owner");

    /// <summary>The offer of a copy with such a profile.</summary>
    public static CloneOffer Offer(string profile) => new(1, 1, Name, "A", profile, LogFrame.Version, 4096, 4096);

    /// <summary>What B answers to an offer of A; null: nothing.</summary>
    public static Task<string?> OfferAsync(Cluster cluster, CloneOffer offer)
    {
        DateTime end = DateTime.UtcNow + AnswerTime;
        return OfferingNode.OfferAsync(cluster, "B", offer, async () => DateTime.UtcNow < end && await LivesAsync(cluster, "B"));
    }

    /// <summary>Whether the cluster's own VM, which was started on this node, still lives there.</summary>
    public static async Task<bool> LivesAsync(Cluster cluster, string node) => await cluster.StatusAsync(node) is { Role: not "ended" };
}

/// <summary>The devices of a node, and how often they were opened for a VM that goes live.</summary>
internal sealed class CountedDevices(INodeDevices devices) : INodeDevices
{
    private int opened;

    public int Opened => Volatile.Read(ref opened);

    public void Admit(VmProfile profile) => devices.Admit(profile);

    public void ProveStart(VmProfile profile, Action<VmProfile, string?> answer) => devices.ProveStart(profile, answer);

    public void ProveBackup(VmProfile profile, Action<string?> answer) => devices.ProveBackup(profile, answer);

    public ImmutableArray<DeviceDefinition> Open(VmProfile profile, ulong generation, Fence fence, ConsoleScrollback console)
    {
        Interlocked.Increment(ref opened);
        return devices.Open(profile, generation, fence, console);
    }

    public ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile, ulong generation) => devices.OpenOwnDisks(profile, generation);

    public void OwnDisksComplete(VmProfile profile, ulong generation) => devices.OwnDisksComplete(profile, generation);
}
