using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// The fate of each digest that was made wrong on its way to a backup. The message may be lost, and what is sent again is right; but a replica that was
/// given the wrong one to replay must halt for it, and for nothing else.
/// </summary>
internal sealed class PlantedDigests(ClusterWorld world)
{
    private readonly List<(Lsn Lsn, MachineDigest Digest)> _sent = [];
    private readonly List<(TrackedReplica Replica, Lsn Lsn)> _given = [];

    /// <summary>A message with a wrong digest leaves.</summary>
    public void Sent(Lsn lsn, MachineDigest digest) => _sent.Add((lsn, digest));

    /// <summary>A replica is given entries to replay.</summary>
    public void Given(TrackedReplica replica, IReadOnlyList<LogEntry> entries)
    {
        if (_sent.Count == 0)
        {
            return;
        }
        foreach (LogEntry entry in entries)
        {
            if (entry.Payload is DigestPayload { Digest: var digest } && _sent.Remove((entry.Lsn, digest)))
            {
                _given.Add((replica, entry.Lsn));
            }
        }
    }

    /// <summary>A replica has halted because it left its primary's execution: whether a wrong digest is why, at its very entry. If so, it is counted.</summary>
    public bool Explains(TrackedReplica replica)
    {
        bool isThere = _given.Contains((replica, replica.Steps.DivergedAt));
        _given.RemoveAll(given => given.Replica == replica);
        if (!isThere)
        {
            return false;
        }
        world.Effect(FaultKind.DigestWrong, replica.Host.Name);
        return true;
    }

    /// <summary>Nobody has replayed a wrong digest and gone on.</summary>
    public void Check()
    {
        for (int i = _given.Count - 1; i >= 0; i--)
        {
            var (replica, lsn) = _given[i];
            if (!replica.Exists)
            {
                _given.RemoveAt(i);
                continue;
            }
            ReplicaStatus status = replica.Status;
            if (ReplicaRoles.IsLive(status.Role) || status.Executed >= lsn)
            {
                world.Fail("digest-seen", $"{replica.Host.Name} has replayed the wrong digest of entry {lsn} without seeing it, and is {status.Role}");
                return;
            }
        }
    }
}
