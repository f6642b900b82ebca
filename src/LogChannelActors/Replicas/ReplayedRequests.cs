using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// Requests that replay makes to a backup's own disks. Conflicting ones keep their order until each has ended for good: a read that fails is tried again until it
/// succeeds (the paper, 4.2), and no later write may overtake it meanwhile. Used by the <see cref="ReplicaDisksActor"/> on its thread.
/// </summary>
internal sealed class ReplayedRequests
{
    /// <summary>
    /// More than the output gate keeps before it holds replay (<see cref="ProtectionOptions.OutputsMax"/>) and the turn that fills it makes
    /// (<see cref="ReplayActor.OutputsPerTurn"/> and a run of the machine): a disk that is merely slow must not count as failed.
    /// </summary>
    private const int RequestsMax = 32 * 1024;

    private readonly Action<object> tell;
    private readonly Action<int, DiskCompletion> read;
    private readonly Action<ReplicaDisksProtocol.Perform, Action<DiskCompletion, string?>> issue;
    private readonly Action<Action> tryLater;
    private readonly RequestSerializer[] order;
    private readonly Dictionary<(int Disk, ulong Id), ReplicaDisksProtocol.Perform> pending = [];
    private readonly HashSet<(int Disk, ulong Id)> notNeeded = [];
    /// <summary>The guest numbers its requests upwards: what is below was made.</summary>
    private readonly ulong[] next;

    /// <summary>None yet.</summary>
    /// <param name="disks">Number of disks.</param>
    /// <param name="tell">Told of changes: <see cref="ReplicaInput.OwnRequestPerformed"/> or <see cref="ReplicaInput.OwnDiskFailed"/>.</param>
    /// <param name="read">Given what was read, by disk.</param>
    /// <param name="issue">Gives a request to its disk, and calls back.</param>
    /// <param name="tryLater">Calls back after a while.</param>
    public ReplayedRequests(int disks, Action<object> tell, Action<int, DiskCompletion> read,
        Action<ReplicaDisksProtocol.Perform, Action<DiskCompletion, string?>> issue, Action<Action> tryLater)
    {
        (this.tell, this.read, this.issue, this.tryLater, next) = (tell, read, issue, tryLater, new ulong[disks]);
        order = [.. Enumerable.Range(0, disks).Select(_ => new RequestSerializer(RequestsMax))];
    }

    /// <summary>Takes the next request in the guest's order.</summary>
    public void Perform(ReplicaDisksProtocol.Perform message)
    {
        (int Disk, ulong Id) key = (message.Disk, message.Request.Id);
        next[message.Disk] = message.Request.Id + 1;
        if (notNeeded.Remove(key) && message.Request.Kind == DiskRequestKind.Read)
        {
            return;
        }
        pending[key] = message;
        switch (order[message.Disk].Submit(message.Request))
        {
            case RequestAdmission.Start:
                Begin(message);
                break;
            case RequestAdmission.Held:
                break;
            default:
                tell(new ReplicaInput.OwnDiskFailed($"disk {message.Disk}: more than {RequestsMax} requests are outstanding"));
                break;
        }
    }

    /// <summary>The log has the end of a request with all that a machine needs: if it is a read, it need not be performed. Changes are, whatever the log has.</summary>
    public void Forget(int disk, ulong id)
    {
        if (id >= next[disk] || pending.ContainsKey((disk, id)))
        {
            notNeeded.Add((disk, id));
        }
    }

    private void Begin(ReplicaDisksProtocol.Perform message)
    {
        if (message.Request.Kind == DiskRequestKind.Read && notNeeded.Contains((message.Disk, message.Request.Id)))
        {
            End(message);
            return;
        }
        issue(message, (completion, error) => Ended(message, completion, error));
    }

    private void Ended(ReplicaDisksProtocol.Perform message, DiskCompletion completion, string? error)
    {
        if (message.Request.Kind != DiskRequestKind.Read)
        {
            tell(completion.Status == DiskStatus.Ok
                ? new ReplicaInput.OwnRequestPerformed(message.Number)
                : new ReplicaInput.OwnDiskFailed(ReplicaDisksActor.Why(message.Disk, message.Request, error)));
            End(message);
        }
        else if (completion.Status == DiskStatus.Ok)
        {
            read(message.Disk, completion);
            End(message);
        }
        else
        {
            tryLater(() => Begin(message));
        }
    }

    private void End(ReplicaDisksProtocol.Perform message)
    {
        (int Disk, ulong Id) key = (message.Disk, message.Request.Id);
        pending.Remove(key);
        notNeeded.Remove(key);
        foreach (DiskRequest held in order[message.Disk].Complete(message.Request.Id))
        {
            Begin(pending[(message.Disk, held.Id)]);
        }
    }
}
