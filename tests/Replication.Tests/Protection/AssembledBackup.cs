using FtAkka.Machine.Digest;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>A backup on B that has received a copy from A, with an empty log, in the first session.</summary>
internal static class AssembledBackup
{
    /// <summary>The backup, and what it wants at the moment at which the copy is complete.</summary>
    public static (ReplicaCore Core, IReadOnlyList<ReplicaEffect> Effects) At(Instant now, ProtectionOptions options)
    {
        var setup = new ReplicaSetup { Id = new ReplicaIdentity("vm", "B", 1), Protection = options, Profile = "profile" };
        var core = ReplicaCore.StartBackup(setup, new CloneOffer(1, 1, "vm", "A", "profile", 1, 4096, 2), now);
        core.Step(now, new ReplicaInput.Begin());
        core.Step(now, new ReplicaInput.Received(new CloneState(1, 1, 0, 1, [1])));
        core.Step(now, new ReplicaInput.Received(new CloneFinish(1, 1, 1, 0, 0, 0)));
        return (core, core.Step(now, new ReplicaInput.CopyWritten(new CloneReceiverInput.Restored(new MachineDigest(0, 1, 2, 3)))));
    }
}
