using System.Globalization;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Compares what nodes answer operators with what is so. What must be so at the moment of the answer is looked at always; what must come of it, where nothing is
/// wrong and nobody asks for anything else meanwhile.
/// </summary>
internal sealed class VerbJudge(ClusterWorld world, OperatorVerbs verbs)
{
    /// <summary>A verb that changes nothing has changed nothing by then.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(500);

    /// <summary>A machine that was started runs by then; one that was switched off has ended, and nobody has started it again yet.</summary>
    private static readonly TimeSpan Begun = TimeSpan.FromSeconds(2);

    /// <summary>A hand-over is complete by then, with everything that the backup had still to replay.</summary>
    private static readonly TimeSpan HandedOver = TimeSpan.FromMilliseconds(2500);

    /// <summary>A copy is complete by then.</summary>
    private static readonly TimeSpan Copied = TimeSpan.FromSeconds(4);

    /// <summary>The node says that it did it, or began it.</summary>
    public void Done(AskedVerb asked, string text)
    {
        switch (asked.Action.Action)
        {
            case OperatorAction.Start:
                StartDone(asked, text);
                break;
            case OperatorAction.Protect:
                Later(asked, Copied, () => world.Primary is { Status.CanTakeOver: true }, () => $"was done, and there is no backup that could take over: {Now()}");
                break;
            case OperatorAction.Unprotect:
                UnprotectDone(asked);
                break;
            case OperatorAction.Failover:
                FailoverDone(asked);
                break;
            default:
                PowerOffDone(asked);
                break;
        }
    }

    /// <summary>The node says that it did not.</summary>
    public void Refused(AskedVerb asked, string why)
    {
        Later(asked, Soon, () => Generation == asked.Generation && (asked.Primary is null || world.Primary == asked.Primary),
            () => $"was refused ({why}), and something has changed: {Now()}");
        TrackedReplica? replica = asked.Host.Replica;
        ReplicaRole? role = replica?.Status.Role;
        bool mustDo = asked.Action.Action switch
        {
            OperatorAction.Start => asked.Primary is null && asked.Generation > 0 && world.Hosts.All(host => host.Replica is null),
            OperatorAction.Protect => asked.Role == ReplicaRole.Solo && role == ReplicaRole.Solo && asked.Action.Host != asked.Host.Name,
            OperatorAction.Failover => asked.Peer is not null && asked.Primary == replica,
            OperatorAction.Unprotect => asked.Role == role && role is ReplicaRole.CloningPrimary or ReplicaRole.ProtectedPrimary,
            _ => asked.Role is { } before && ReplicaRoles.IsLive(before) && role is { } now && ReplicaRoles.IsLive(now),
        };
        if (mustDo && IsUndisturbed(asked))
        {
            Fail(asked, $"was refused without a reason ({why}): {Now()}");
        }
    }

    /// <summary>The node says that it may be stopped.</summary>
    public void Left(AskedVerb asked)
    {
        if (asked.Primary is not { } primary || !asked.Alone || asked.Number != verbs.Last || !world.Calm.HoldsApartFromLeaving(asked.At))
        {
            return;
        }
        if (primary.Host != asked.Host)
        {
            Require(asked, world.Primary == primary, $"the node has left, and the VM has not stayed on {primary.Host.Name}: {Now()}");
        }
        else if (asked.Peer is { } peer)
        {
            Require(asked, world.Primary?.Host.Name == peer && Generation == asked.Generation + 1, $"the node has left, and the VM is not live on {peer} in generation {asked.Generation + 1}: {Now()}");
        }
        else if (asked.Role == ReplicaRole.Solo)
        {
            Require(asked, world.Primary is { } now && now.Host != asked.Host, $"the node has left, and no peer has the VM that had no backup: {Now()}");
        }
    }

    /// <summary>The arbiter's record of a start was made.</summary>
    /// <param name="host">Where.</param>
    /// <param name="isFirm">With --take-over.</param>
    /// <param name="former">The host of the owner before.</param>
    /// <param name="before">The record of the owner before.</param>
    public void Started(SimulatedHost host, bool isFirm, SimulatedHost former, OwnershipRecord before)
    {
        bool isLive = former.Incarnation == before.Incarnation && former.Replica is { } owner && ReplicaRoles.IsLive(owner.Status.Role) && !world.Records.HasEnded(before.Generation);
        if (isLive && (!isFirm || world.Calm.Holds))
        {
            world.Fail("operator", $"the VM is started on {host.Name}{(isFirm ? "" : " without --take-over")}, and is live on {former.Name} in generation {before.Generation}");
        }
        bool HasBackup(SimulatedHost other) => other.Replica?.Status is { Role: ReplicaRole.Backup or ReplicaRole.GoingLive } status && status.Generation == before.Generation;
        if (world.Calm.Holds && !world.Records.HasEnded(before.Generation) && world.Hosts.FirstOrDefault(HasBackup) is { } backup)
        {
            world.Fail("operator", $"the VM is started on {host.Name}, and {backup.Name} has its backup");
        }
    }

    private void StartDone(AskedVerb asked, string text)
    {
        OwnershipRecord? record = world.Records.All.LastOrDefault(record => record.Node == asked.Host.Name && record.Incarnation == asked.Incarnation);
        string says = string.Create(CultureInfo.InvariantCulture, $"runs on {asked.Host.Name}, generation {record?.Generation ?? 0}");
        Require(asked, record is not null && record.Generation > asked.Generation && text.Contains(says, StringComparison.Ordinal), $"answers '{text}', and the arbiter's newest record is {world.Records.Newest}");
        Later(asked, Begun, () => world.Primary?.Host == asked.Host && Generation == record!.Generation, () => $"was done ({text}), and the VM does not run there: {Now()}");
    }

    private void UnprotectDone(AskedVerb asked)
    {
        ReplicaStatus? status = asked.Host.Replica?.Status;
        Require(asked, status?.Role == ReplicaRole.Solo, $"was done, and the replica is {status?.Role.ToString() ?? "gone"}, with a backup on {status?.Peer}");
        ulong generation = status?.Generation ?? 0;
        Later(asked, Begun, () => world.Primary is { Status: { Role: ReplicaRole.Solo } now } && now.Generation == generation, () => $"was done, and has not stayed so: {Now()}");
    }

    private void FailoverDone(AskedVerb asked)
    {
        if (asked.Primary?.Host == asked.Host && asked.Peer is { } peer)
        {
            Later(asked, HandedOver, () => world.Primary?.Host.Name == peer && Generation == asked.Generation + 1,
                () => $"was done, and the VM is not live on {peer} in generation {asked.Generation + 1}: {Now()}");
        }
    }

    private void PowerOffDone(AskedVerb asked)
    {
        if (asked.Primary?.Host == asked.Host)
        {
            Later(asked, Begun, () => world.Records.HasEnded(asked.Generation) && world.Hosts.All(host => host.Replica is null), () => $"was done, and the VM has not ended: {Now()}");
        }
    }

    private void Later(AskedVerb asked, TimeSpan when, Func<bool> holds, Func<string> what) => world.Simulation.Schedule(when, () =>
    {
        if (IsUndisturbed(asked) && !holds())
        {
            Fail(asked, what());
        }
    });

    private void Require(AskedVerb asked, bool holds, string what)
    {
        if (!holds)
        {
            Fail(asked, what);
        }
    }

    /// <summary>Nothing is wrong since the verb was asked, or was shortly before, and nobody has asked for anything else.</summary>
    private bool IsUndisturbed(AskedVerb asked) => asked.Alone && asked.Number == verbs.Last && world.Calm.HoldsSince(asked.At);

    private void Fail(AskedVerb asked, string what) => world.Fail("operator", $"{asked.Name} {what}");

    private ulong Generation => world.Records.Newest?.Generation ?? 0;

    private string Now() => WaitReport.Of(world);
}
