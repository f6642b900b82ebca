using System.Collections;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Protection;

/// <summary>FT VMotion: the copy of a running machine to its backup.</summary>
public sealed partial class ReplicaShell
{
    private CloneSender? sender;
    private CloneReceiver? receiver;
    /// <summary>The backup's machine, until a machine actor runs it live: freed with the replica on every path that does not lead there.</summary>
    private GuestMachine? copy;
    /// <summary>Pages of the copy that anything was written to; the others are zero, and many stay so: they are not even looked at.</summary>
    private BitArray? copyWritten;
    private bool restoring;
    private bool released;
    private CloneSenderEffect.Progress? progress;
    private TimeSpan pauseTime;

    /// <summary>A piece of the console's history in a message; others must not wait long behind it.</summary>
    private const int HistoryPieceBytes = 64 << 10;

    private CloneView? CloneProgress => progress is null ? null : new CloneView(progress.Round, progress.Sent, progress.Of, pauseTime, progress.Bytes, progress.Elapsed, progress.Disks);

    /// <summary>A backup that has accepted an offer. It owns the machine until that runs live; <see cref="Release()"/> frees it otherwise.</summary>
    /// <param name="options">What it works with.</param>
    /// <param name="offer">The offer.</param>
    /// <param name="machine">A new machine of the offered shape: nothing was loaded into its memory.</param>
    public static ReplicaShell StartBackup(ReplicaShellOptions options, CloneOffer offer, GuestMachine machine)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(offer);
        var session = new ChannelSession(offer.Generation, offer.Attempt);
        Instant now = Read(options);
        var shell = new ReplicaShell(options, Replica.StartBackup(options.Id, options.Protection, session, offer.Node, now))
        {
            peer = offer.Node,
            copy = machine,
            copyWritten = new BitArray(machine.Memory.PageCount),
            receiver = new CloneReceiver(offer, options.CloneLimits, now, options.Protection.Disks),
        };
        return shell;
    }

    /// <summary>The replay of this backup runs.</summary>
    public void ReplayStarted(IActorRef actor)
    {
        lock (sync)
        {
            replay = actor;
            if (unfed.Count > 0)
            {
                replay.Tell(new ReplayProtocol.Feed([.. unfed]));
                unfed.Clear();
            }
            ApplyPace();
        }
    }

    /// <summary>The machine was released by replay and is about to be live.</summary>
    public void ReplayStopped()
    {
        lock (sync)
        {
            replay = null;
        }
    }

    private void OpenChannel(ReplicaEffect.OpenChannel open)
    {
        peer = open.PeerNode;
        evidence.Clear();
        progress = null;
        var offer = new CloneOffer(open.Session.Generation, open.Session.Attempt, options.Id.Vm, options.Id.Node, options.Profile,
            LogFrame.Version, GuestMemory.PageSizeBytes, guest!.Memory.PageCount);
        sender = new CloneSender(offer, options.CloneLimits, Now, options.Protection.Disks);
        Post(new CloneSenderInput.Tick());
    }

    /// <summary>What a client may want to read at the backup once that is live. Newest pieces first, so that each reaches up to what is there.</summary>
    private void SendConsoleHistory()
    {
        if (options.ConsoleHistory is null || peer is null)
        {
            return;
        }
        (ulong offset, ImmutableArray<byte> bytes) = options.ConsoleHistory();
        for (int end = bytes.Length; end > 0; end = Math.Max(0, end - HistoryPieceBytes))
        {
            int start = Math.Max(0, end - HistoryPieceBytes);
            options.Port.Send(peer, new ConsoleHistory(replica.Session.Generation, replica.Session.Attempt, offset + (ulong)start, bytes[start..end]));
        }
    }

    private void StepCloneWith(IChannelMessage message)
    {
        if (sender is not null)
        {
            StepSender(new CloneSenderInput.Received(message));
        }
        if (receiver is not null)
        {
            StepReceiver(new CloneReceiverInput.Received(message));
        }
    }

    private void TickClone()
    {
        if (sender is not null)
        {
            StepSender(new CloneSenderInput.Tick());
        }
        if (receiver is not null)
        {
            StepReceiver(new CloneReceiverInput.Tick());
        }
    }

    private void StepSender(CloneSenderInput input)
    {
        if (sender is not { } stepped)
        {
            return;
        }
        foreach (CloneSenderEffect effect in stepped.Step(Now, input))
        {
            Perform(stepped, effect);
        }
        if (stepped.IsOver)
        {
            StopSender();
        }
    }

    private void Perform(CloneSender stepped, CloneSenderEffect effect)
    {
        switch (effect)
        {
            case CloneSenderEffect.Send send:
                options.Port.Send(peer!, send.Message);
                break;
            case CloneSenderEffect.StartDirtyLog:
                Inspect(stepped, (source, _) => source.Start());
                break;
            case CloneSenderEffect.ReadPages read:
                Inspect(stepped, (source, _) => Post(new CloneSenderInput.PagesRead(source.Read(read.Pages))));
                break;
            case CloneSenderEffect.CollectDirty:
                Inspect(stepped, (source, _) => Post(new CloneSenderInput.DirtyCollected(source.Collect(), CollectBlocks())));
                break;
            case CloneSenderEffect.StartBlockLog:
                performer!.Dirty = new DirtyBlocks(options.Protection.Disks);
                break;
            case CloneSenderEffect.HashBlocks hash:
                disks!.Tell(new ReplicaDisksProtocol.Hash(stepped, hash.Disk, hash.First, hash.Count));
                break;
            case CloneSenderEffect.ReadBlocks blocks:
                disks!.Tell(new ReplicaDisksProtocol.Read(stepped, blocks.Disk, blocks.Blocks));
                break;
            case CloneSenderEffect.PauseAndCapture capture:
                Inspect(stepped, (source, runner) => Capture(source, runner, capture.AlsoPages));
                break;
            case CloneSenderEffect.Switched switched:
                Post(new ReplicaInput.CloneSwitched(switched.Position));
                break;
            case CloneSenderEffect.Confirmed:
                Post(new ReplicaInput.CloneConfirmed());
                break;
            case CloneSenderEffect.Failed failed:
                Post(new ReplicaInput.CloneFailed(failed.Why));
                break;
            case CloneSenderEffect.Progress made:
                progress = made;
                break;
            default:
                throw new InvalidOperationException($"Nobody performs {effect}.");
        }
    }

    private CloneSource? source;

    /// <summary>Runs on the machine's thread while it stands, unless the clone has ended meanwhile.</summary>
    private void Inspect(CloneSender of, Action<CloneSource, ReplicaRunner> look) => machine!.Tell(new MachineProtocol.Inspect(runner =>
    {
        lock (sync)
        {
            if (!ReferenceEquals(of, sender))
            {
                return;
            }
            source ??= new CloneSource(runner.Machine);
        }
        look(source, (ReplicaRunner)runner);
    }));

    private void Capture(CloneSource from, ReplicaRunner runner, IReadOnlyList<long> alsoPages)
    {
        TimeSpan begin = options.Clock();
        // What was injected and not run yet may have outputs, which belong before the copy.
        runner.Run(0);
        FinalCapture capture = from.Capture(runner.Position, alsoPages) with { Blocks = CollectBlocks() };
        pauseTime = options.Clock() - begin;
        Post(new CloneSenderInput.Captured(capture));
    }

    private void StopSender()
    {
        sender = null;
        performer?.Dirty = null;
        if (source is { } ended)
        {
            source = null;
            machine?.Tell(new MachineProtocol.Inspect(_ => ended.Dispose()));
        }
    }

    private void StepReceiver(CloneReceiverInput input)
    {
        foreach (CloneReceiverEffect effect in receiver!.Step(Now, input))
        {
            switch (effect)
            {
                case CloneReceiverEffect.Send send:
                    options.Port.Send(peer!, send.Message);
                    break;
                case CloneReceiverEffect.WritePages write:
                    Write(write.Pages);
                    break;
                case CloneReceiverEffect.CompareBlocks compare:
                    disks!.Tell(new ReplicaDisksProtocol.Compare(compare));
                    break;
                case CloneReceiverEffect.WriteBlocks write:
                    disks!.Tell(new ReplicaDisksProtocol.Write(write));
                    break;
                case CloneReceiverEffect.Restore restore:
                    Restore(restore);
                    break;
                case CloneReceiverEffect.Assembled assembled:
                    Post(new ReplicaInput.CopyAssembled(assembled.Position, assembled.Icount));
                    options.Tell(new ReplicaEvents.ReplayFrom(copy!, assembled.Position));
                    break;
                case CloneReceiverEffect.Failed failed:
                    dead = true;
                    options.Tell(new ReplicaEvents.CopyFailed(failed.Why));
                    return;
                default:
                    throw new InvalidOperationException($"Nobody performs {effect}.");
            }
        }
    }

    private void Write(IReadOnlyList<PageContent> pages)
    {
        foreach (PageContent page in pages)
        {
            int index = (int)page.Page;
            bool wasWritten = copyWritten![index];
            if (page.Bytes.IsEmpty && !wasWritten)
            {
                continue;
            }
            copyWritten[index] = true;
            ReadOnlySpan<byte> content = page.Bytes.IsEmpty ? ZeroPage : page.Bytes.AsSpan();
            if (!wasWritten || !copy!.Memory.Page(index).SequenceEqual(content))
            {
                copy!.Memory.TryWrite(copy.Memory.PhysicalAddressOf(index), content);
            }
        }
    }

    private static readonly byte[] ZeroPage = new byte[GuestMemory.PageSizeBytes];

    /// <summary>The digest reads all of memory: not on the wire's thread, which must hear the primary meanwhile.</summary>
    private void Restore(CloneReceiverEffect.Restore restore)
    {
        GuestMachine restored = copy!;
        restoring = true;
        options.InBackground(() =>
        {
            SnapshotError error = restored.Restore(new StateReader(restore.State.AsMemory()));
            CloneReceiverInput result = error == SnapshotError.None
                ? new CloneReceiverInput.Restored(restored.ComputeFullDigest())
                : new CloneReceiverInput.RestoreFailed($"The copied state cannot be restored: {error}.");
            // Requests from before the switch stand in no entry that this replica replays.
            ImmutableArray<(int Disk, DiskRequest Request)> pending = result is CloneReceiverInput.Restored
                ? [.. restored.OutstandingDiskRequests.Where(request => options.Protection.IsSeparate(request.Disk) && request.Request.Kind != DiskRequestKind.Read)] : [];
            lock (sync)
            {
                restoring = false;
                if (released)
                {
                    DisposeCopy();
                    return;
                }
            }
            if (result is CloneReceiverInput.Restored && pending.Length > 0)
            {
                disks!.Tell(new ReplicaDisksProtocol.Pending(pending, result));
            }
            else
            {
                Post(result);
            }
        });
    }

    /// <summary>The replica is closed, and nobody runs or replays its machine any more: frees a machine that never went live.</summary>
    public void Release()
    {
        lock (sync)
        {
            released = true;
            if (!restoring)
            {
                DisposeCopy();
            }
        }
    }

    private void DisposeCopy()
    {
        copy?.Dispose();
        copy = null;
    }

    /// <summary>Reads a running machine's memory between its quanta. Used on the machine's thread only.</summary>
    private sealed class CloneSource(GuestMachine from) : IDisposable
    {
        private DirtyPages? dirty;

        public void Start() => dirty = from.Memory.CreateDirtyLog();

        public List<PageContent> Read(IReadOnlyList<long> pages)
        {
            var contents = new List<PageContent>(pages.Count);
            foreach (long page in pages)
            {
                ReadOnlySpan<byte> bytes = from.Memory.Page((int)page);
                contents.Add(new PageContent(page, bytes.IndexOfAnyExcept((byte)0) < 0 ? [] : [.. bytes]));
            }
            return contents;
        }

        public long[] Collect()
        {
            var pages = new List<int>();
            dirty!.Drain(pages);
            return [.. pages];
        }

        public FinalCapture Capture(LogPosition position, IReadOnlyList<long> alsoPages)
        {
            SortedSet<long> pages = [.. alsoPages, .. Collect()];
            var writer = new StateWriter();
            from.Snapshot(writer);
            MachineDigest digest = from.ComputeFullDigest();
            var capture = new FinalCapture(position, [.. writer.Written], Read([.. pages]), digest);
            // The backup's replay does the same where it begins.
            from.StartDigests();
            return capture;
        }

        public void Dispose() => dirty?.Dispose();
    }
}

/// <summary>How far a clone is, or how the last one went.</summary>
/// <param name="Round">0 is the whole memory, then rounds of dirty pages.</param>
/// <param name="Sent">Pages of the round sent.</param>
/// <param name="Of">Pages of the round.</param>
/// <param name="Pause">How long the machine stood for the final copy; zero before.</param>
/// <param name="Bytes">Bytes confirmed by the other side.</param>
/// <param name="Elapsed">Time they took.</param>
/// <param name="Disks">How far separate disks are; null where there are none.</param>
public sealed record CloneView(int Round, long Sent, long Of, TimeSpan Pause, long Bytes, TimeSpan Elapsed, DiskProgress? Disks);

/// <summary>A replica as operators see it.</summary>
/// <param name="Status">The protocol's state.</param>
/// <param name="Times">The last failover.</param>
/// <param name="DigestsChecked">Digests that replay has compared and found equal.</param>
/// <param name="LastDigestIcount">Icount of the last of them.</param>
/// <param name="LogBitsPerSecond">Log sent or received, lately.</param>
/// <param name="Reconnects">How often messages of the peer's node were lost on the way, and the log was resumed.</param>
/// <param name="LastClone">The last clone, if there was one.</param>
/// <param name="Clock">Now, by the clock of <paramref name="Times"/>.</param>
public sealed record ReplicaView(ReplicaStatus Status, FailoverTimes Times, ulong DigestsChecked, ulong LastDigestIcount, double LogBitsPerSecond, int Reconnects,
    CloneView? LastClone, TimeSpan Clock);
