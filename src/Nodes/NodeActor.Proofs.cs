using Akka.Actor;
using Akka.Event;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>Whether the backups of this node could go live. A backup of which that is not so protects nothing, and its primary must know.</summary>
public sealed partial class NodeActor
{
    private sealed record BackupProved(NodeEntry Entry, string? Refusal);

    /// <summary>Looked at with every heartbeat.</summary>
    private void ProveBackups()
    {
        TimeSpan now = Now;
        foreach (NodeEntry entry in entries.Values)
        {
            if (entry.View?.Status.Role is ReplicaRole.Backup or ReplicaRole.BackupSyncing && !entry.IsBeingProved && now >= entry.NextProof)
            {
                entry.IsBeingProved = true;
                settings.Devices.ProveBackup(entry.Profile, refusal => self.Tell(new BackupProved(entry, refusal)));
            }
        }
    }

    private void OnBackupProved(BackupProved proved)
    {
        NodeEntry entry = proved.Entry;
        (entry.IsBeingProved, entry.NextProof) = (false, Now + settings.ProofInterval);
        if (entry.End is not null)
        {
            return;
        }
        if (proved.Refusal != entry.Unable)
        {
            entry.Unable = proved.Refusal;
            if (proved.Refusal is { } why)
            {
                log.Warning("{0}: the backup here could not go live, and the VM does not count as protected: {1}", entry.Vm, why);
            }
            else
            {
                log.Info("{0}: the backup here could go live again", entry.Vm);
            }
        }
        entry.Replica?.HostProved(proved.Refusal);
    }
}
