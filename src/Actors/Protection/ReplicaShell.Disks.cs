using Akka.Actor;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Actors.Protection;

/// <summary>Disks of which each replica has its own copy.</summary>
public sealed partial class ReplicaShell
{
    private int readEpochs;

    /// <summary>Who reads and writes separate disks beside the machine: of a live replica those of its machine, of a backup its own.</summary>
    public void UseDisks(IActorRef actor)
    {
        lock (sync)
        {
            disks = actor;
        }
    }

    /// <summary>What a disk has done for a copy.</summary>
    internal void FromDisks(CloneSender of, CloneSenderInput input)
    {
        lock (sync)
        {
            if (ReferenceEquals(of, sender))
            {
                Post(input);
            }
        }
    }

    /// <summary>What a backup's own disk has done.</summary>
    internal void FromDisks(object input) => Post(input);

    /// <summary>A backup has read from its own disk what the primary has read, or will have.</summary>
    internal void OwnRead(int disk, DiskCompletion completion)
    {
        lock (sync)
        {
            replay?.Tell(new ReplayProtocol.OwnRead(disk, completion));
        }
    }

    /// <summary>On the machine's thread, which is told of completions on it: each is either collected here or still awaited by the machine.</summary>
    private IReadOnlyList<BlockPlace>? CollectBlocks()
    {
        lock (sync)
        {
            return performer?.Dirty?.Collect();
        }
    }

    /// <summary>The entries as the backup gets them: without the data that it reads itself.</summary>
    private IReadOnlyList<LogEntry> WithoutOwnReads(IReadOnlyList<LogEntry> entries)
    {
        if (!readsOnBackup)
        {
            return entries;
        }
        var sent = new List<LogEntry>(entries.Count);
        lock (sync)
        {
            foreach (LogEntry entry in entries)
            {
                sent.Add(entry.Payload is InputPayload { Input: DiskCompleted completed } && performer!.TakeOwnRead(completed.Disk, completed.Completion.Id)
                    ? entry with { Payload = new OwnReadPayload(completed.Disk, completed.Completion.Id) } : entry);
            }
        }
        return sent;
    }

    /// <summary>A read whose end stands in the log is not needed: it may have failed on the primary, and a backup that tried on would not get on.</summary>
    private void ForgetOwnReads(IReadOnlyList<LogEntry> entries)
    {
        if (!readsOnBackup)
        {
            return;
        }
        foreach (LogEntry entry in entries)
        {
            if (entry.Payload is InputPayload { Input: DiskCompleted completed } && options.Protection.BackupReads(completed.Disk))
            {
                disks!.Tell(new ReplicaDisksProtocol.Forget(completed.Disk, completed.Completion.Id));
            }
        }
    }
}
