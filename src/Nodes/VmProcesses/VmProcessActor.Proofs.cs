using Akka.Actor;
using Akka.Event;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>Whether the backup here could go live. One of which that is not so protects nothing, and its primary must know.</summary>
public sealed partial class VmProcessActor
{
    private sealed record Proved(string? Refusal);

    private TimeSpan nextProof;
    private bool isBeingProved;
    private string? unable;

    private void ProveBackup()
    {
        if (View?.Status.Role is ReplicaRole.Backup or ReplicaRole.BackupSyncing && !isBeingProved && Now >= nextProof)
        {
            isBeingProved = true;
            settings.Devices.ProveBackup(profile!, refusal => self.Tell(new Proved(refusal)));
        }
    }

    private void OnProved(Proved proved)
    {
        (isBeingProved, nextProof) = (false, Now + settings.ProofInterval);
        if (end is not null)
        {
            return;
        }
        if (proved.Refusal != unable)
        {
            unable = proved.Refusal;
            if (proved.Refusal is { } why)
            {
                log.Warning("{0}: the backup here could not go live, and the VM does not count as protected: {1}", vm, why);
            }
            else
            {
                log.Info("{0}: the backup here could go live again", vm);
            }
        }
        replica!.HostProved(proved.Refusal);
    }
}
