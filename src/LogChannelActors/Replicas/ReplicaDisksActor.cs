using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>Messages of <see cref="ReplicaDisksActor"/>; all come from the replica's actor, its parent, which is answered by inputs of its core.</summary>
internal static class ReplicaDisksProtocol
{
    /// <summary>Live: the disks of the machine that runs.</summary>
    public sealed record Use(ImmutableArray<DeviceLink> Disks);

    /// <summary>Live: hash blocks for a copy.</summary>
    public sealed record Hash(ChannelSession For, int Disk, long First, int Count);

    /// <summary>Live: read blocks for a copy.</summary>
    public sealed record Read(ChannelSession For, int Disk, IReadOnlyList<long> Blocks);

    /// <summary>Backup: compare own blocks with hashes.</summary>
    public sealed record Compare(CloneReceiverEffect.CompareBlocks What);

    /// <summary>Backup: take blocks of the copy.</summary>
    public sealed record Write(CloneReceiverEffect.WriteBlocks What);

    /// <summary>Backup: perform what the copied machine waits for, and only then say that it is restored.</summary>
    public sealed record Pending(ImmutableArray<PendingRequest> Requests, CloneReceiverInput Then);

    /// <summary>Backup: perform a request that replay made.</summary>
    public sealed record Perform(ulong Number, int Disk, DiskRequest Request);

    /// <summary>Backup: the log has the end of a request, with its data or error; if it is a read, it need not be performed, or not any more.</summary>
    public sealed record Forget(int Disk, ulong Id);
}

/// <summary>
/// Reads and writes the separate disks of a replica beside its machine: for the copy to a backup, and on the backup what replay asks for. Goes through the disk
/// actors, which keep conflicting requests in order. A backup's disks are its children; a live machine's are its VM's.
/// </summary>
internal sealed class ReplicaDisksActor : ReceiveActor, IWithTimers
{
    /// <summary>Wait before a backup's failed read is tried again.</summary>
    private static readonly TimeSpan ReadRetry = TimeSpan.FromMilliseconds(50);

    private sealed record Again(Action Try);

    private readonly IActorRef replica = Context.Parent;
    private readonly ImmutableArray<ProtectedDisk> disks;
    private readonly SortedDictionary<(int Disk, ulong Id), Action<DiskCompletion, string?>> waiting = [];
    private readonly ReplayedRequests replayed;
    private DeviceLinks links;
    private ulong nextId = DiskBlocks.FirstRequestId;

    /// <summary>The disks of one role of a replica.</summary>
    /// <param name="disks">The VM's disks.</param>
    /// <param name="own">Backup: its separate disks, opened.</param>
    public ReplicaDisksActor(ImmutableArray<ProtectedDisk> disks, ImmutableArray<DeviceDefinition> own)
    {
        this.disks = disks;
        links = new DeviceLinks(own.Select(disk => new DeviceLink(disk.Kind, disk.Index, Context.ActorOf(disk.Props, disk.Name), disk.Dialect)));
        Receive<ReplicaDisksProtocol.Use>(message => links = new DeviceLinks(message.Disks));
        Receive<ReplicaDisksProtocol.Hash>(Hash);
        Receive<ReplicaDisksProtocol.Read>(Read);
        Receive<ReplicaDisksProtocol.Compare>(message => Compare(message.What));
        Receive<ReplicaDisksProtocol.Write>(message => Write(message.What));
        Receive<ReplicaDisksProtocol.Pending>(PerformPending);
        replayed = new ReplayedRequests(disks.Length, input => replica.Tell(input), (disk, completion) => replica.Tell(new ReplayProtocol.OwnRead(disk, completion)), (request, then) => Issue(request.Disk, request.Request, then),
            again => Timers.StartSingleTimer(new object(), new Again(again), ReadRetry));
        Receive<ReplicaDisksProtocol.Perform>(message => replayed.Perform(message));
        Receive<ReplicaDisksProtocol.Forget>(message => replayed.Forget(message.Disk, message.Id));
        Receive<Again>(message => message.Try());
        ReceiveAny(HearDisk);
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Props of the disks of a replica.</summary>
    public static Props Props(ImmutableArray<ProtectedDisk> disks, ImmutableArray<DeviceDefinition> own) =>
        Akka.Actor.Props.Create(() => new ReplicaDisksActor(disks, own));

    private void Answer(ChannelSession session, CloneSenderInput result) => replica.Tell(new ReplicaInput.CopyRead(session, result));

    private void Answer(CloneReceiverInput result) => replica.Tell(new ReplicaInput.CopyWritten(result));

    private void HearDisk(object message)
    {
        if (links.Of(Sender) is not { } device || device.Dialect.ToMachine(message) is not { } news)
        {
            Unhandled(message);
            return;
        }
        foreach (DiskCompleted completed in news.Inputs.OfType<DiskCompleted>())
        {
            if (waiting.Remove((completed.Disk, completed.Completion.Id), out Action<DiskCompletion, string?>? then))
            {
                then(completed.Completion, news.HostError);
            }
        }
    }

    private void Issue(int disk, DiskRequest request, Action<DiskCompletion, string?> then)
    {
        var effect = new DiskRequested(0, disk, request);
        if (links.For(effect) is not { } device)
        {
            then(new DiskCompletion(request.Id, DiskStatus.IoError, []), "there is no such disk");
            return;
        }
        waiting[(disk, request.Id)] = then;
        device.Actor.Tell(device.Dialect.ToDevice(effect), Self);
    }

    private void IssueRead(int disk, long first, int count, Action<ReadOnlyMemory<byte>> then, Action<string> failed)
    {
        var request = new DiskRequest(nextId++, DiskRequestKind.Read, (ulong)first * DiskBlocks.BlockSectors, (ulong)DiskBlocks.LengthOf(disks[disk], first, count), []);
        Issue(disk, request, (completion, error) =>
        {
            if (completion.Status == DiskStatus.Ok)
            {
                then(completion.Data.AsMemory());
            }
            else
            {
                failed(Why(disk, request, error));
            }
        });
    }

    private void Hash(ReplicaDisksProtocol.Hash message) => IssueRead(message.Disk, message.First, message.Count,
        content => Answer(message.For, new CloneSenderInput.BlocksHashed(Hashes(content.Span))),
        why => Answer(message.For, new CloneSenderInput.BlocksFailed(why)));

    private static List<BlockHash> Hashes(ReadOnlySpan<byte> content)
    {
        var hashes = new List<BlockHash>();
        for (int at = 0; at < content.Length; at += DiskBlocks.BlockBytes)
        {
            hashes.Add(BlockHash.Of(content[at..Math.Min(at + DiskBlocks.BlockBytes, content.Length)]));
        }
        return hashes;
    }

    private void Read(ReplicaDisksProtocol.Read message)
    {
        var contents = new BlockContent[message.Blocks.Count];
        int left = contents.Length;
        for (int i = 0; i < contents.Length; i++)
        {
            int index = i;
            IssueRead(message.Disk, message.Blocks[i], 1,
                content =>
                {
                    bool zeroes = content.Span.IndexOfAnyExcept((byte)0) < 0;
                    contents[index] = new BlockContent(message.Blocks[index], zeroes ? [] : [.. content.Span]);
                    if (--left == 0)
                    {
                        Answer(message.For, new CloneSenderInput.BlocksRead(contents));
                    }
                },
                why => Answer(message.For, new CloneSenderInput.BlocksFailed(why)));
        }
    }

    private void Compare(CloneReceiverEffect.CompareBlocks what) => IssueRead(what.Disk, what.First, what.Hashes.Count,
        content =>
        {
            List<BlockHash> own = Hashes(content.Span);
            ulong differing = 0;
            for (int i = 0; i < own.Count; i++)
            {
                differing |= own[i] == what.Hashes[i] ? 0 : 1UL << i;
            }
            Answer(new CloneReceiverInput.BlocksCompared(what.Sequence, differing));
        },
        why => Answer(new CloneReceiverInput.BlocksFailed(why)));

    private void Write(CloneReceiverEffect.WriteBlocks what) => IssueAll(
        [.. what.Blocks.Select(block => (what.Disk, RequestOf(what.Disk, block)))],
        () => Answer(new CloneReceiverInput.BlocksWritten(what.Sequence)),
        why => Answer(new CloneReceiverInput.BlocksFailed(why)));

    private DiskRequest RequestOf(int disk, BlockContent block)
    {
        ulong length = (ulong)DiskBlocks.LengthOf(disks[disk], block.Block);
        ulong sector = (ulong)block.Block * DiskBlocks.BlockSectors;
        return block.Bytes.IsEmpty
            ? new DiskRequest(nextId++, DiskRequestKind.WriteZeroes, sector, length, [], MayUnmap: true)
            : new DiskRequest(nextId++, DiskRequestKind.Write, sector, length, block.Bytes);
    }

    private void PerformPending(ReplicaDisksProtocol.Pending message) => IssueAll([.. message.Requests.Select(pending => (pending.Disk, pending.Request))],
        () => Answer(message.Then), why => Answer(new CloneReceiverInput.RestoreFailed(why)));

    /// <summary>Performs requests; done when the last has ended, or at once if there are none.</summary>
    private void IssueAll(IReadOnlyList<(int Disk, DiskRequest Request)> requests, Action done, Action<string> failed)
    {
        int left = requests.Count;
        foreach ((int disk, DiskRequest request) in requests)
        {
            Issue(disk, request, (completion, error) =>
            {
                if (completion.Status != DiskStatus.Ok)
                {
                    failed(Why(disk, request, error));
                }
                else if (--left == 0)
                {
                    done();
                }
            });
        }
        if (requests.Count == 0)
        {
            done();
        }
    }

    internal static string Why(int disk, DiskRequest request, string? error) =>
        $"disk {disk}, {request.Kind} of {request.LengthBytes} bytes at sector {request.Sector}: {error ?? "it failed"}";
}
