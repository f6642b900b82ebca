using FtAkka.KnownFailures;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>How long a replica waits for its peer, and when it looks whether the VM is still its own.</summary>
public sealed class PatienceTests
{
    private const int TickMs = 10, MinuteMs = 60_000;

    private static readonly ProtectionOptions Options = new();
    private static readonly ReplicaIdentity A = new("vm", "a", 1), B = new("vm", "b", 1);

    [KnownToFail(Issue.Promises, "A target of a copy gives up by itself while its primary is alive, because the copy says nothing for a while: 14 false ones in 136 copies on a loaded host.", Shows = "PrimaryLostBeforeSync")]
    public void Syncing_backup_waits_while_its_primarys_node_beats()
    {
        var backup = ReplicaCore.StartBackup(SetupOf(B), new CloneOffer(1, 1, "vm", "a", "profile", 1, 4096, 2), At(0));
        backup.Step(At(0), new ReplicaInput.Begin());
        for (int ms = TickMs; ms <= 4000; ms += TickMs)
        {
            ReplicaInput input = ms % 50 == 0 ? new ReplicaInput.NodeHeard("a") : new ReplicaInput.Tick();
            ReplicaEffect.HaltReplica? halt = backup.Step(At(ms), input).OfType<ReplicaEffect.HaltReplica>().FirstOrDefault();
            Assert.True(halt is null, $"gave up after {ms} ms, while the node of its primary beats: {halt}");
        }
    }

    [KnownToFail(Issue.Promises, "A replica that runs alone never looks at its record again: a second copy that an operator starts elsewhere stays live as long as one watches.", Shows = "never asked")]
    public void Replica_that_runs_alone_looks_at_its_record_now_and_then()
    {
        var alone = ReplicaCore.StartSolo(SetupOf(A), 1, default, At(0));
        alone.Step(At(0), new ReplicaInput.Begin());
        alone.Step(At(0), new ReplicaInput.MachineReady(new MachineDevices([], []), PageCount: 2));
        bool asked = false;
        for (int ms = TickMs; ms <= MinuteMs && !asked; ms += TickMs)
        {
            asked = alone.Step(At(ms), new ReplicaInput.Tick()).OfType<ReplicaEffect.CheckOwnership>().Any();
        }
        Assert.True(asked, "never asked the arbiter within a minute");
    }

    private static ReplicaSetup SetupOf(ReplicaIdentity id) => new() { Id = id, Protection = Options, Profile = "profile" };

    private static Instant At(int milliseconds) => new(milliseconds * 10_000L);
}
