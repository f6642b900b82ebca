using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>The copy of a running machine, from both sides.</summary>
internal sealed partial class ProtocolHost
{
    private const int CloneWorkTicksMost = 30_000;

    private CloneSender? _cloneSender;
    private CloneReceiver? _cloneReceiver;

    private void OpenChannel(ReplicaEffect.OpenChannel open)
    {
        _peer = open.PeerNode;
        if (Replica!.Generation > 1)
        {
            cluster.Moment(NamedMoment.Reprotection, this);
        }
        var offer = new CloneOffer(open.Session.Generation, open.Session.Attempt, "vm", Name, "protocol", LogFrame.Version,
            ProtocolGuest.PageBytes, ProtocolGuest.PageCount);
        _cloneSender = new CloneSender(offer, ProtocolCluster.CloneOptions, Now);
        StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Tick());
    }

    private void StepClone(CloneSenderInput sender, CloneReceiverInput receiver)
    {
        if (_cloneSender is { } sending)
        {
            foreach (CloneSenderEffect effect in sending.Step(Now, sender))
            {
                Perform(effect);
            }
        }
        if (_cloneReceiver is { } receiving)
        {
            foreach (CloneReceiverEffect effect in receiving.Step(Now, receiver))
            {
                Perform(effect);
            }
        }
    }

    private void Perform(CloneSenderEffect effect)
    {
        switch (effect)
        {
            case CloneSenderEffect.Send send:
                cluster.Network.Send(this, _peer, send.Message);
                break;
            case CloneSenderEffect.StartDirtyLog:
                Machine!.CollectDirty();
                break;
            case CloneSenderEffect.ReadPages read:
                cluster.Moment(NamedMoment.CloneRound, this);
                Later(() => StepClone(new CloneSenderInput.PagesRead([.. read.Pages.Select(Machine!.Page)]), new CloneReceiverInput.Tick()));
                break;
            case CloneSenderEffect.CollectDirty:
                Later(() => StepClone(new CloneSenderInput.DirtyCollected(Machine!.CollectDirty()), new CloneReceiverInput.Tick()));
                break;
            case CloneSenderEffect.PauseAndCapture pause:
                cluster.Moment(NamedMoment.FinalSwitch, this);
                Later(() => Capture(pause.AlsoPages));
                break;
            case CloneSenderEffect.Switched switched:
                cluster.Moment(NamedMoment.FinalSwitch, this);
                Step(new ReplicaInput.CloneSwitched(switched.Position));
                break;
            case CloneSenderEffect.Confirmed:
                Step(new ReplicaInput.CloneConfirmed());
                break;
            case CloneSenderEffect.Failed failed:
                _cloneSender = null;
                cluster.Count("clone failed");
                Step(new ReplicaInput.CloneFailed(failed.Why));
                break;
            default:
                break;
        }
    }

    private void Capture(IReadOnlyList<long> also)
    {
        var pages = also.Union(Machine!.CollectDirty()).Select(Machine.Page).ToList();
        cluster.Snapshots[Machine.Icount] = new ProtocolSnapshot(Machine, Machine.OutputHistory.Count, [.. Machine.Pending], [.. IsOutput]);
        var capture = new FinalCapture(Machine.Position, Machine.SaveState(), pages, Machine.Digest());
        StepClone(new CloneSenderInput.Captured(capture), new CloneReceiverInput.Tick());
    }

    private void Perform(CloneReceiverEffect effect)
    {
        switch (effect)
        {
            case CloneReceiverEffect.Send send:
                cluster.Network.Send(this, _peer, send.Message);
                break;
            case CloneReceiverEffect.WritePages write:
                (Machine ??= new ProtocolGuest()).WritePages(write.Pages);
                break;
            case CloneReceiverEffect.Restore restore:
                ProtocolSnapshot snapshot = cluster.Snapshots[restore.Icount];
                (Machine ??= new ProtocolGuest()).RestoreState(restore.State, restore.Icount, restore.Position, snapshot.Machine, snapshot.Outputs);
                Machine.RestorePending(snapshot.Pending);
                IsOutput = [.. snapshot.IsOutput];
                Later(() => StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Restored(Machine.Digest())));
                break;
            case CloneReceiverEffect.Assembled assembled:
                Step(new ReplicaInput.CopyAssembled(assembled.Position, assembled.Icount));
                break;
            case CloneReceiverEffect.Failed when !IsLive:
                Forget();
                break;
            default:
                break;
        }
    }

    /// <summary>Runs on this host, unless it crashes before.</summary>
    private void Later(Action action)
    {
        Replica? replica = Replica;
        cluster.Schedule(this, _random.Below(CloneWorkTicksMost) + 1, () =>
        {
            if (ReferenceEquals(replica, Replica) && Machine is not null)
            {
                action();
            }
        });
    }
}
