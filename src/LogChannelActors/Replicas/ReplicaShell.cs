using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine.Events;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// Steps a <see cref="ReplicaCore"/> and performs its effects, completely and in order, and decides nothing. Used on the thread of its <see cref="ReplicaActor"/>
/// only: whatever happens elsewhere comes as a message.
/// </summary>
internal sealed class ReplicaShell(ReplicaShellOptions options, ReplicaCore core, IActorRef self, IReplicaStage stage)
{
    /// <summary>A piece of the console's history in a message; others must not wait long behind it.</summary>
    private const int HistoryPieceBytes = 64 << 10;

    private readonly List<ReplayProtocol.Feed> unfed = [];
    private ProtectedMachine.Ready? live;
    private DeviceLinks? devices;
    private IActorRef? replay;
    private (StopReasons Stop, int SharePercent) pace = (StopReasons.None, 100);
    private bool failed;

    /// <summary>What other threads may know.</summary>
    public ReplicaHandle Handle { get; } = new(self, options.Clock, core);

    /// <summary>A backup's machine; null for a replica that started the VM.</summary>
    public CopyTarget? Copy { get; init; }

    /// <summary>Reads and writes separate disks beside the machine; null if the VM has none.</summary>
    public IActorRef? Disks { get; set; }

    /// <summary>Outputs are on their way, and the devices must not stop yet.</summary>
    public bool HasOutputsUnderWay => !failed && core.Role != ReplicaRole.Halted && core.HasOutputsUnderWay;

    private Instant Now => new(options.Clock().Ticks);

    /// <summary>Steps the core and performs what it wants.</summary>
    public void Step(ReplicaInput input)
    {
        if (failed)
        {
            return;
        }
        try
        {
            IReadOnlyList<ReplicaEffect> effects = core.Step(Now, input);
            options.Stepped?.Invoke(input, effects);
            foreach (ReplicaEffect effect in effects)
            {
                Perform(effect);
            }
            Handle.Publish(core, Now);
        }
#pragma warning disable CA1031 // A mistake of the monitor must not restart the actor, which would begin the VM anew: the replica falls silent, and the other one takes over.
        catch (Exception mistake)
#pragma warning restore CA1031
        {
            failed = true;
            Handle.CloseFence();
            stage.Failed(mistake);
        }
    }

    /// <summary>The machine of a live replica waits to run.</summary>
    public void MachineReady(ProtectedMachine.Ready ready)
    {
        (live, devices) = (ready, new DeviceLinks(ready.Devices));
        Disks?.Tell(new ReplicaDisksProtocol.Use([.. ready.Devices.Where(device => device.Kind == DeviceKind.Disk)]));
        Step(new ReplicaInput.MachineReady(
            new MachineDevices(Indices(ready, DeviceKind.Disk), [.. Indices(ready, DeviceKind.Console).Select(index => (ConsoleKind)index)]), ready.PageCount));
    }

    /// <summary>The replay of a backup runs.</summary>
    public void ReplayStarted(IActorRef actor)
    {
        replay = actor;
        unfed.ForEach(feed => replay.Tell(feed));
        unfed.Clear();
        ApplyPace();
    }

    /// <summary>The replay has given the machine away.</summary>
    public void ReplayEnded() => replay = null;

    /// <summary>A separate disk of a backup was read.</summary>
    public void OwnRead(ReplayProtocol.OwnRead read) => replay?.Tell(read);

    /// <summary>The copied state was restored, or not.</summary>
    public void Restored(RestoredCopy restored)
    {
        if (restored.Pending.IsEmpty)
        {
            Step(new ReplicaInput.CopyWritten(restored.Result));
        }
        else
        {
            Disks!.Tell(new ReplicaDisksProtocol.Pending(restored.Pending, restored.Result));
        }
    }

    private static ImmutableArray<int> Indices(ProtectedMachine.Ready ready, DeviceKind kind) =>
        [.. ready.Devices.Where(device => device.Kind == kind).Select(device => device.Index)];

    private void Perform(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Send send:
                options.Port.Send(send.Node, send.Message);
                break;
            case ReplicaEffect.FenceChanged changed:
                Handle.MoveFence(changed.Until);
                break;
            case ReplicaEffect.SetPace set:
                pace = (set.Stop, set.SharePercent);
                ApplyPace();
                break;
            case ReplicaEffect.AskArbiter ask:
                options.Arbiter.Claim(ask.Claim, verdict => self.Tell(new ReplicaInput.ArbiterAnswered(ask.Attempt, verdict), ActorRefs.NoSender));
                break;
            case ReplicaEffect.CheckOwnership check:
                options.Arbiter.Check(check.Claim, verdict => self.Tell(new ReplicaInput.ArbiterAnswered(check.Attempt, verdict), ActorRefs.NoSender));
                break;
            case ReplicaEffect.RoleChanged changed:
                stage.RoleChanged(changed);
                break;
            case ReplicaEffect.ReportStatus report:
                stage.Report(report.What);
                break;
            case ReplicaEffect.KeepEvidence keep:
                options.KeepEvidence?.Invoke(keep.Report);
                break;
            case ReplicaEffect.DropBackup drop:
                stage.Dropped(drop);
                break;
            case ReplicaEffect.HaltReplica halt:
                stage.Halted(halt.Reason, halt.What);
                break;
            default:
                PerformLive(effect);
                break;
        }
    }

    private void PerformLive(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Release release:
                Release(release.Outputs);
                break;
            case ReplicaEffect.OpenDevices open:
                // Whoever opens them looks at the generation.
                Handle.Publish(core, Now);
                stage.OpenDevices(open.Position);
                break;
            case ReplicaEffect.Announce:
                Announce();
                break;
            case ReplicaEffect.Reissue reissue:
                foreach (PendingRequest pending in reissue.Requests)
                {
                    Hand(new DiskRequested(0, pending.Disk, pending.Request));
                }
                break;
            case ReplicaEffect.Run:
                ApplyPace();
                live!.Actor.Tell(new MachineProtocol.Run());
                break;
            case ReplicaEffect.Flush:
                OnMachine(machine => machine.Flush());
                break;
            case ReplicaEffect.ReadCopy read:
                ReadCopy(read.Session, read.Work);
                break;
            case ReplicaEffect.EndCopy:
                live!.Machine.Blocks.Stop();
                OnMachine(machine => machine.EndCopy());
                break;
            case ReplicaEffect.SendConsoleHistory history:
                SendConsoleHistory(history);
                break;
            default:
                PerformBackup(effect);
                break;
        }
    }

    private void PerformBackup(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.WriteCopy write:
                WriteCopy(write.Work);
                break;
            case ReplicaEffect.StartReplay start:
                stage.StartReplay(start.Position);
                break;
            case ReplicaEffect.FeedReplay feed:
                Feed(new ReplayProtocol.Feed(feed.Entries));
                break;
            case ReplicaEffect.PerformOwn own:
                foreach (GatedOutput output in own.Requests)
                {
                    var request = (DiskRequested)output.Effect;
                    Disks!.Tell(new ReplicaDisksProtocol.Perform(output.Number, request.Disk, request.Request));
                }
                break;
            case ReplicaEffect.ForgetOwnRead forget:
                Disks!.Tell(new ReplicaDisksProtocol.Forget(forget.Disk, forget.Id));
                break;
            case ReplicaEffect.KeepConsoleHistory keep:
                options.ConsoleHistoryReceived?.Invoke(keep.Offset, keep.Bytes);
                break;
            case ReplicaEffect.StopReplay:
                stage.StopReplay();
                break;
            default:
                throw new InvalidOperationException($"Nobody performs {effect}.");
        }
    }

    private void Release(IReadOnlyList<GatedOutput> outputs)
    {
        foreach (MachineEffect effect in DeviceLinks.JoinConsoleOutput([.. outputs.Select(output => output.Effect)]))
        {
            Hand(effect);
        }
    }

    private void Hand(MachineEffect effect)
    {
        if (devices!.For(effect) is { } device)
        {
            device.Actor.Tell(device.Dialect.ToDevice(effect), live!.Actor);
        }
    }

    private void Announce()
    {
        foreach (DeviceLink nic in devices!.All.Where(link => link.Kind == DeviceKind.Nic))
        {
            if (nic.Dialect.Announcement is { } announcement)
            {
                nic.Actor.Tell(announcement, live!.Actor);
            }
        }
    }

    private void ReadCopy(ChannelSession session, CloneSenderEffect.Work work)
    {
        switch (work)
        {
            case CloneSenderEffect.StartBlockLog:
                live!.Machine.Blocks.Start();
                break;
            case CloneSenderEffect.HashBlocks hash:
                Disks!.Tell(new ReplicaDisksProtocol.Hash(session, hash.Disk, hash.First, hash.Count));
                break;
            case CloneSenderEffect.ReadBlocks blocks:
                Disks!.Tell(new ReplicaDisksProtocol.Read(session, blocks.Disk, blocks.Blocks));
                break;
            default:
                OnMachine(machine => machine.Read(session, work));
                break;
        }
    }

    private void OnMachine(Action<ProtectedMachine> act) => live!.Actor.Tell(new MachineProtocol.Inspect(runner => act((ProtectedMachine)runner)));

    private void WriteCopy(CloneReceiverEffect.Work work)
    {
        switch (work)
        {
            case CloneReceiverEffect.WritePages write:
                Copy!.Write(write.Pages);
                break;
            case CloneReceiverEffect.CompareBlocks compare:
                Disks!.Tell(new ReplicaDisksProtocol.Compare(compare));
                break;
            case CloneReceiverEffect.WriteBlocks write:
                Disks!.Tell(new ReplicaDisksProtocol.Write(write));
                break;
            case CloneReceiverEffect.Restore restore:
                Copy!.Restore(restore.State, options.InBackground, restored => self.Tell(restored, ActorRefs.NoSender));
                break;
            default:
                throw new InvalidOperationException($"Nobody performs {work}.");
        }
    }

    private void Feed(ReplayProtocol.Feed feed)
    {
        if (replay is null)
        {
            unfed.Add(feed);
        }
        else
        {
            replay.Tell(feed);
        }
    }

    private void ApplyPace()
    {
        replay?.Tell(new ReplayProtocol.Hold(pace.Stop.HasFlag(StopReasons.ReplayOutputsFull)));
        live?.Actor.Tell(new MachineProtocol.SetShare(pace.Stop == StopReasons.None ? pace.SharePercent : 0));
    }

    /// <summary>What a client may want to read at the backup once that is live. Newest pieces first, so that each reaches up to what is there.</summary>
    private void SendConsoleHistory(ReplicaEffect.SendConsoleHistory to)
    {
        if (options.ConsoleHistory is null)
        {
            return;
        }
        (ulong offset, ImmutableArray<byte> bytes) = options.ConsoleHistory();
        for (int end = bytes.Length; end > 0; end = Math.Max(0, end - HistoryPieceBytes))
        {
            int start = Math.Max(0, end - HistoryPieceBytes);
            options.Port.Send(to.Node, new ConsoleHistory(to.Session.Generation, to.Session.Attempt, offset + (ulong)start, bytes[start..end]));
        }
    }
}
