namespace FtAkka.Replication.Protection;

/// <summary>What a replica is.</summary>
public enum ReplicaRole
{
    /// <summary>Live and unprotected.</summary>
    Solo,

    /// <summary>Live; a copy is being made. The backup may not take over yet, and outputs do not wait for it.</summary>
    CloningPrimary,

    /// <summary>Live; outputs wait for the backup.</summary>
    ProtectedPrimary,

    /// <summary>Receives the copy, or what follows it, and cannot take over yet.</summary>
    BackupSyncing,

    /// <summary>Replays, and can take over.</summary>
    Backup,

    /// <summary>Drains the log, asks the arbiter, and takes over.</summary>
    GoingLive,

    /// <summary>Does nothing any more. Final.</summary>
    Halted,
}

/// <summary>Which role may follow which.</summary>
public static class ReplicaRoles
{
    /// <summary>Whether the table has the transition.</summary>
    public static bool MayFollow(ReplicaRole from, ReplicaRole to) => (from, to) switch
    {
        // Clone begins, fails or is cancelled, is committed.
        (ReplicaRole.Solo, ReplicaRole.CloningPrimary) => true,
        (ReplicaRole.CloningPrimary, ReplicaRole.Solo) => true,
        (ReplicaRole.CloningPrimary, ReplicaRole.ProtectedPrimary) => true,
        // Only with the next generation won: the backup may be going live.
        (ReplicaRole.ProtectedPrimary, ReplicaRole.Solo) => true,
        // The backup has received everything that had left before it was entitled.
        (ReplicaRole.BackupSyncing, ReplicaRole.Backup) => true,
        // The primary is suspected, or hands over.
        (ReplicaRole.Backup, ReplicaRole.GoingLive) => true,
        // The primary was heard before the arbiter was asked.
        (ReplicaRole.GoingLive, ReplicaRole.Backup) => true,
        // The next generation won.
        (ReplicaRole.GoingLive, ReplicaRole.Solo) => true,
        (ReplicaRole.Halted, _) => false,
        (_, ReplicaRole.Halted) => true,
        _ => false,
    };

    /// <summary>Whether a replica of this role runs the VM for the outside.</summary>
    public static bool IsLive(ReplicaRole role) =>
        role is ReplicaRole.Solo or ReplicaRole.CloningPrimary or ReplicaRole.ProtectedPrimary;
}
