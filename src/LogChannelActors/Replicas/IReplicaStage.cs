using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>What a <see cref="ReplicaShell"/> leaves to its supervisor, which has the replica's actors: <see cref="ReplicaActor"/>.</summary>
internal interface IReplicaStage
{
    /// <summary>Performs <see cref="ReplicaEffect.OpenDevices"/>.</summary>
    void OpenDevices(LogPosition position);

    /// <summary>Performs <see cref="ReplicaEffect.StartReplay"/>.</summary>
    void StartReplay(LogPosition position);

    /// <summary>Performs <see cref="ReplicaEffect.StopReplay"/>.</summary>
    void StopReplay();

    /// <summary>The role changed.</summary>
    void RoleChanged(ReplicaEffect.RoleChanged changed);

    /// <summary>Something a person should know.</summary>
    void Report(string what);

    /// <summary>Performs <see cref="ReplicaEffect.DropBackup"/>.</summary>
    void Dropped(ReplicaEffect.DropBackup drop);

    /// <summary>Performs <see cref="ReplicaEffect.HaltReplica"/>.</summary>
    void Halted(HaltReason reason, string what);

    /// <summary>A mistake of the monitor: the replica is silent from now on, so that the other one takes over.</summary>
    void Failed(Exception mistake);
}
