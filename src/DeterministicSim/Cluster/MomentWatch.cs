using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Sees the named moments from outside: by the messages that the actors of a host put into each other's mailboxes, by what replicas send to each
/// other, and by the arbiter's records.
/// </summary>
internal sealed class MomentWatch(ClusterWorld world)
{
    private readonly SortedSet<string> _handingOver = new(StringComparer.Ordinal);
    private SimulatedHost? _switching;

    /// <summary>How often each was reached.</summary>
    public SortedDictionary<NamedMoment, long> Reached { get; } = [];

    /// <summary>How often a host was crashed there.</summary>
    public SortedDictionary<NamedMoment, long> Crashes { get; } = [];

    public void CrashedAt(NamedMoment moment) => Crashes[moment] = Crashes.GetValueOrDefault(moment) + 1;

    /// <summary>A message was put into the mailbox of an actor of this host.</summary>
    public void Message(SimulatedHost host, IActorRef receiver, object message)
    {
        switch (message)
        {
            case ReplayProtocol.Feed feed when host.Replica is { } replica:
                Found(replica, receiver);
                world.Digests.Given(replica, feed.Entries);
                break;
            case ReplayProtocol.Hold hold when host.Replica is { } replica:
                Found(replica, receiver);
                replica.IsHeld = hold.On;
                if (hold.On)
                {
                    SmallBufferIsFull(host);
                }
                break;
            // A replica that has gone live hands pending requests to its disk, and greets its console only then.
            case DiskProtocol.Execute or ConsoleProtocol.Attach when _handingOver.Remove(host.Name):
                Reach(NamedMoment.Reissue, host);
                break;
            case MachineProtocol.SetShare { Percent: 0 } when host.Replica is { } stopped && (stopped.Status.Stopped & (StopReasons.LogFull | StopReasons.OutputsFull)) != 0:
                SmallBufferIsFull(host);
                break;
            default:
                break;
        }
    }

    /// <summary>A replica has decided something, and has not done it yet.</summary>
    public void Stepped(SimulatedHost host, IReadOnlyList<ReplicaEffect> effects)
    {
        foreach (ReplicaEffect effect in effects)
        {
            if (effect is ReplicaEffect.RoleChanged changed)
            {
                Changed(host, changed);
            }
        }
    }

    private void SmallBufferIsFull(SimulatedHost host)
    {
        if (world.Faults.BuffersAreSmall)
        {
            world.Effect(FaultKind.LogBufferFull, host.Name);
        }
        if (world.Faults.LimitsAreSmall)
        {
            world.Effect(FaultKind.SmallLimits, host.Name);
        }
    }

    /// <summary>A replica sends to its peer.</summary>
    public void Sent(SimulatedHost host, TrackedReplica? replica, string node, IChannelMessage message)
    {
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Message, TextOf(message), node);
        }
        switch (message)
        {
            case CloneOffer offer:
                world.Checks.Offered(host);
                if (offer.Generation > 1 || offer.Attempt > 1)
                {
                    Reach(NamedMoment.Reprotection, host);
                }
                break;
            case FailoverYield yield:
                world.Calm.Yielded(yield.Generation);
                break;
            case ClonePages:
                Reach(NamedMoment.CloneRound, host);
                break;
            case CloneFinish finish:
                world.Recording?.Copied(finish.LastLsn);
                // At either end of the switch: before the target has what was sent last, or when it has all.
                _switching = world.Random.Below(2) == 0 ? host : null;
                if (_switching is null)
                {
                    Reach(NamedMoment.FinalSwitch, host);
                }
                break;
            case CloneAssembled when _switching is { } source:
                _switching = null;
                Reach(NamedMoment.FinalSwitch, source);
                break;
            case LogAck ack when world.Primary is { } primary && primary != replica && primary.Status is { HeldOutputs: > 0 } status
                && ack.ReceivedLsn > status.Acknowledged.Value:
                Reach(NamedMoment.BetweenAckAndRelease, primary.Host);
                break;
            default:
                break;
        }
    }

    /// <summary>The arbiter has a new record.</summary>
    public void RecordCreated(SimulatedHost host, OwnershipClaim claim)
    {
        if (claim.Generation > 1 && host.Replica is { Status.Role: ReplicaRole.GoingLive })
        {
            Reach(NamedMoment.BetweenTestAndSetAndAnnouncement, host);
        }
    }

    /// <summary>A replica that has gone live has its devices.</summary>
    public void DevicesOpened(SimulatedHost host)
    {
        world.Mutant.DevicesOpened(host);
        if (world.Profile.Disks.Length > 0 && world.Records.Newest is { Generation: > 1 })
        {
            _handingOver.Add(host.Name);
        }
    }

    /// <summary>Backups run as slowly as the faults say.</summary>
    public void SetBackupPace()
    {
        ulong pace = ClusterWorld.InstructionsPerMillisecond * (ulong)world.Faults.BackupPercent / 100;
        foreach (SimulatedHost host in world.Hosts)
        {
            if (host.Replica is { Replay: { } replay } replica && replica.Pace != pace)
            {
                replica.Pace = pace;
                replay.Tell(new ReplayProtocol.SetPace(pace), ActorRefs.NoSender);
            }
        }
    }

    /// <summary>A replica's replay shows itself by its first message.</summary>
    private void Found(TrackedReplica replica, IActorRef replay)
    {
        if (replica.Replay is null)
        {
            replica.Replay = replay;
            SetBackupPace();
        }
    }

    private void Changed(SimulatedHost host, ReplicaEffect.RoleChanged changed)
    {
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Role, $"{changed.From} -> {changed.To}, generation {changed.Generation}");
        }
        if (changed.To == ReplicaRole.GoingLive)
        {
            if (host.Replica is { IsHeld: true } held)
            {
                world.Mutant.GoesLiveHeld(held);
            }
            Reach(NamedMoment.Drain, host);
        }
    }

    private void Reach(NamedMoment moment, SimulatedHost host)
    {
        Reached[moment] = Reached.GetValueOrDefault(moment) + 1;
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Moment, moment.ToString());
        }
        world.Faults.Reached(moment, host);
    }

    private static string TextOf(IChannelMessage message) => message switch
    {
        LogAppend append => $"LogAppend {append.FirstLsn}..{append.LastLsn}, {append.Frames.Length} bytes, released {append.ReleasedOutput}",
        LogAck ack => $"LogAck received {ack.ReceivedLsn}, executed {ack.ExecutedLsn}{(ack.Resend ? ", send again" : "")}",
        ClonePages pages => $"ClonePages {pages.Sequence}, {pages.Pages.Length} bytes",
        ChannelClosed closed => $"ChannelClosed {closed.Reason}: {closed.Text}",
        _ => message.GetType().Name,
    };
}

/// <summary>A replica's way to its peer, at which the simulator looks and plants mistakes.</summary>
internal sealed class WatchedPort(ClusterWorld world, SimulatedHost host, IReplicaPort port, Func<TrackedReplica?> replica) : IReplicaPort
{
    /// <inheritdoc/>
    public void Send(string node, IChannelMessage message)
    {
        // A host that has crashed in the middle of a step says nothing more.
        if (host.System is null)
        {
            return;
        }
        TrackedReplica? from = replica();
        from?.Steps.Seen($"sends a {message.GetType().Name}");
        message = world.Mutant.Sending(from, message);
        for (int copy = world.Mutant.CopiesOf(message); copy > 0; copy--)
        {
            port.Send(node, message);
            world.States.Sent(host, node, message);
            world.Moments.Sent(host, from, node, message);
        }
    }
}
