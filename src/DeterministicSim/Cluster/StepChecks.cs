using Akka.Actor;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Looks at every step of one replica's core: at copies, at the guest's time, and at backups that are given up.</summary>
internal sealed class StepChecks(ClusterWorld world, SimulatedHost host)
{
    private (ChannelSession Session, MachineDigest Digest)? _captured;

    private static readonly TimeSpan EndsWithin = TimeSpan.FromMilliseconds(100);

    /// <summary>A step of this replica has failed, as a fault wanted: nothing of it may be seen any more.</summary>
    public bool HasThrown { get; private set; }

    /// <summary>The entry at which this replica's replay left the recording; none if it has not.</summary>
    public Lsn DivergedAt { get; private set; }

    /// <summary>A step, before its effects are performed.</summary>
    public void Stepped(ReplicaInput input, IReadOnlyList<ReplicaEffect> effects)
    {
        switch (input)
        {
            case ReplicaInput.Recorded recorded:
                world.GuestTime.Recorded(this, host, recorded.Entries);
                break;
            case ReplicaInput.CopyRead { Session: var session, Result: CloneSenderInput.Captured captured }:
                _captured = (session, captured.Capture.Digest);
                break;
            case ReplicaInput.Received { Message: CloneAssembled assembled }:
                Compare(assembled);
                break;
            case ReplicaInput.CopyWritten { Result: CloneReceiverInput.RestoreFailed failed }:
                world.Fail("copy", $"{host.Name} cannot use the copy that it was given: {failed.Why}");
                break;
            case ReplicaInput.Diverged diverged:
                DivergedAt = diverged.Divergence.Lsn;
                break;
            case ReplicaInput.Leave:
                world.Calm.Leaves();
                break;
            default:
                break;
        }
        foreach (ReplicaEffect effect in effects)
        {
            switch (effect)
            {
                case ReplicaEffect.OpenDevices open:
                    world.GuestTime.Opens(this, open.Position.LastLsn);
                    break;
                case ReplicaEffect.DropBackup drop:
                    world.Calm.Dropped(host, drop);
                    break;
                case ReplicaEffect.HaltReplica { Reason: HaltReason.CopyFailed } halt when input is ReplicaInput.Received { Message: ICloneChunk }:
                    world.Fail("copy", $"{host.Name} cannot read the copy that it is given: {halt.What}");
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>Fails where a fault wants it: what this step decided is not performed, as when it had thrown itself.</summary>
    public void Throw()
    {
        if (HasThrown || !world.Faults.MustThrow(host))
        {
            return;
        }
        HasThrown = true;
        world.Effect(FaultKind.ShellThrows, host.Name);
        world.Calm.Disturbed();
        if (host.System is { } system)
        {
            world.Simulation.Schedule(system, EndsWithin, () => RequireEnd(system));
        }
        throw new PlantedException(host.Name);
    }

    private void RequireEnd(ActorSystem system)
    {
        if (host.System == system && host.Replicas.Exists(replica => replica.Steps == this && replica.Exists))
        {
            world.Fail("silent", $"a step of the replica on {host.Name} has failed, and it has not ended");
        }
    }

    /// <summary>Something of the replica is seen from outside.</summary>
    public void Seen(string what)
    {
        if (HasThrown)
        {
            world.Fail("silent", $"a step of the replica on {host.Name} has failed, and it {what}");
        }
    }

    /// <summary>No second try makes a copy good that differs: whatever made it differ may come at any time, where no digest is compared.</summary>
    private void Compare(CloneAssembled assembled)
    {
        var copied = new MachineDigest(assembled.Icount, assembled.Cpu, assembled.Devices, assembled.Memory);
        if (_captured is { } captured && captured.Session == new ChannelSession(assembled.Generation, assembled.Attempt) && captured.Digest != copied)
        {
            world.Fail("copy", $"the copy of {host.Name}'s machine differs from it: {copied} instead of {captured.Digest}");
        }
    }
}
