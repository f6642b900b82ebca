using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>
/// A separate disk is copied while it is written, over a channel that loses and repeats, to a disk that answers when it likes. Behind the switch the copy performs
/// what the machine waited for, then what the log has; in the end the disks must be equal.
/// </summary>
public sealed class DiskResyncTests
{
    private static readonly ProtectedDisk Shape = new((9 * DiskBlocks.BlockSectors) + 40, DiskSharing.Separate);
    private static readonly ImmutableArray<ProtectedDisk> Disks = [new ProtectedDisk(77), Shape];
    private static readonly int BlockCount = (int)DiskBlocks.CountOf(Shape);
    private static readonly CloneOptions Options = new() { WindowChunks = 4, ResendAfter = TimeSpan.FromMilliseconds(30) };
    private static readonly CloneOffer Offer = new(1, 1, "vm", "a", "fake", 1, 4, 3);

    private sealed class Run
    {
        private readonly Random random;
        private readonly int loss;
        private readonly CloneSender sender = new(Offer, Options, default, Disks);
        private readonly CloneReceiver receiver = new(Offer, Options, default, Disks);
        private readonly Queue<(bool ToSender, IChannelMessage Message)> wire = new();
        private readonly Queue<Action<Instant>> ownDisk = new();
        private readonly List<DiskRequest> inFlight = [];
        private readonly List<DiskRequest> owed = [];
        private readonly DirtyBlocks dirty = new(Disks);
        private bool logged;
        private ulong nextId;

        public Run(int seed, int loss, bool writes, Action<Run>? prepare = null)
        {
            (random, this.loss) = (new Random(seed), loss);
            for (int block = 0; block < BlockCount; block += 2)
                random.NextBytes(Content.AsSpan(block * DiskBlocks.BlockBytes, DiskBlocks.LengthOf(Shape, block)));
            prepare?.Invoke(this);
            for (int step = 0; step < 60_000 && !Confirmed && Failure is null; step++)
                Step(new Instant(step * 10_000L), writes);
            while (inFlight.Count > 0)
                CompleteOne();
            foreach (var request in owed)
                Apply(Copy, request);
        }

        public byte[] Content { get; } = new byte[(int)Shape.CapacitySectors * 512];

        public byte[] Copy { get; } = new byte[(int)Shape.CapacitySectors * 512];

        public bool Confirmed { get; private set; }

        public string? Failure { get; private set; }

        public DiskProgress? Progress { get; private set; }

        public bool CopyFails { get; set; }

        public int PendingAtSwitch { get; private set; }

        private void Step(Instant now, bool writes)
        {
            if (writes && random.Next(3) == 0)
                IssueOne();
            if (inFlight.Count > 0 && random.Next(3) == 0)
                CompleteOne();
            Tell(now, new CloneSenderInput.Tick());
            if (random.Next(2) == 0 && ownDisk.TryDequeue(out var answer))
                answer(now);
            if (!wire.TryDequeue(out var next))
                return;
            if (next.ToSender)
                Tell(now, new CloneSenderInput.Received(next.Message));
            else
                TellCopy(now, new CloneReceiverInput.Received(next.Message));
        }

        private void IssueOne()
        {
            ulong sectors = 1 + (ulong)random.Next(200);
            ulong sector = (ulong)random.NextInt64((long)(Shape.CapacitySectors - sectors));
            byte[] data = new byte[sectors * 512];
            random.NextBytes(data);
            var request = new DiskRequest(nextId++, DiskRequestKind.Write, sector, sectors * 512, [.. data]);
            inFlight.Add(request);
            if (logged)
                owed.Add(request);
        }

        /// <summary>Conflicting requests end in the order of their submission.</summary>
        private void CompleteOne()
        {
            int index = random.Next(inFlight.Count);
            for (int i = 0; i < index; i++)
            {
                if (RequestSerializer.Conflict(inFlight[i], inFlight[index]))
                    (index, i) = (i, -1);
            }
            Apply(Content, inFlight[index]);
            dirty.Mark(1, inFlight[index]);
            inFlight.RemoveAt(index);
        }

        private static void Apply(byte[] disk, DiskRequest request) => request.Data.CopyTo(disk, (int)request.Sector * 512);

        private static ReadOnlySpan<byte> Block(byte[] disk, long block, int count = 1) =>
            disk.AsSpan((int)block * DiskBlocks.BlockBytes, DiskBlocks.LengthOf(Shape, block, count));

        private void Post(bool toSender, IChannelMessage message)
        {
            for (int copies = random.Next(100) < loss ? 0 : random.Next(10) == 0 ? 2 : 1; copies > 0; copies--)
                wire.Enqueue((toSender, message));
        }

        private void Tell(Instant now, CloneSenderInput input)
        {
            foreach (var effect in sender.Step(now, input))
            {
                switch (effect)
                {
                    case CloneSenderEffect.Send send: Post(false, send.Message); break;
                    case CloneSenderEffect.StartBlockLog: dirty.Collect(); break;
                    case CloneSenderEffect.HashBlocks hash:
                        Assert.Equal(1, hash.Disk);
                        Tell(now, new CloneSenderInput.BlocksHashed([.. Enumerable.Range(0, hash.Count).Select(i => BlockHash.Of(Block(Content, hash.First + i)))]));
                        break;
                    case CloneSenderEffect.ReadBlocks read:
                        Tell(now, new CloneSenderInput.BlocksRead([.. read.Blocks.Select(block => new BlockContent(block, [.. Block(Content, block)]))]));
                        break;
                    case CloneSenderEffect.ReadPages read:
                        Tell(now, new CloneSenderInput.PagesRead([.. read.Pages.Select(page => new PageContent(page, []))]));
                        break;
                    case CloneSenderEffect.CollectDirty: Tell(now, new CloneSenderInput.DirtyCollected([], dirty.Collect())); break;
                    case CloneSenderEffect.PauseAndCapture:
                        owed.AddRange(inFlight);
                        (logged, PendingAtSwitch) = (true, inFlight.Count);
                        Tell(now, new CloneSenderInput.Captured(new FinalCapture(new LogPosition(new Lsn(5), 6), [1], [], new MachineDigest(7, 1, 2, 3), dirty.Collect())));
                        break;
                    case CloneSenderEffect.Progress progress: Progress = progress.Disks; break;
                    case CloneSenderEffect.Confirmed: Confirmed = true; break;
                    case CloneSenderEffect.Failed failed: Failure = failed.Why; break;
                    default: break;
                }
            }
        }

        private void TellCopy(Instant now, CloneReceiverInput input)
        {
            foreach (var effect in receiver.Step(now, input))
            {
                switch (effect)
                {
                    case CloneReceiverEffect.Send send: Post(true, send.Message); break;
                    case CloneReceiverEffect.CompareBlocks compare:
                        ownDisk.Enqueue(later =>
                        {
                            ulong differing = 0;
                            for (int i = 0; i < compare.Hashes.Count; i++)
                                differing |= BlockHash.Of(Block(Copy, compare.First + i)) == compare.Hashes[i] ? 0 : 1UL << i;
                            TellCopy(later, new CloneReceiverInput.BlocksCompared(compare.Sequence, differing));
                        });
                        break;
                    case CloneReceiverEffect.WriteBlocks write:
                        ownDisk.Enqueue(later => Write(later, write));
                        break;
                    case CloneReceiverEffect.Restore:
                        Assert.Empty(ownDisk);
                        TellCopy(now, new CloneReceiverInput.Restored(new MachineDigest(7, 1, 2, 3)));
                        break;
                    default: break;
                }
            }
        }

        private void Write(Instant now, CloneReceiverEffect.WriteBlocks write)
        {
            if (CopyFails)
            {
                TellCopy(now, new CloneReceiverInput.BlocksFailed("disk 1 is full"));
                return;
            }
            foreach (var block in write.Blocks)
                block.Bytes.CopyTo(Copy, (int)block.Block * DiskBlocks.BlockBytes);
            TellCopy(now, new CloneReceiverInput.BlocksWritten(write.Sequence));
        }
    }

    [Fact]
    public void Disk_written_all_the_time_is_the_same_on_the_copy_under_loss_and_repetition()
    {
        int pending = 0;
        for (int seed = 0; seed < 60; seed++)
        {
            var run = new Run(seed, loss: seed % 2 * 10, writes: true);
            Assert.True(run.Confirmed, $"seed {seed}: {run.Failure ?? "no end"}");
            Assert.True(run.Content.AsSpan().SequenceEqual(run.Copy), $"seed {seed}: the disks differ");
            pending += run.PendingAtSwitch;
        }
        Assert.True(pending > 20, "hardly a switch with requests under way");
    }

    [Fact]
    public void Blocks_that_are_equal_already_are_not_sent()
    {
        var run = new Run(1, loss: 0, writes: false, prepare: run =>
        {
            run.Content.CopyTo(run.Copy, 0);
            run.Copy[(3 * DiskBlocks.BlockBytes) + 17] ^= 1;
            run.Copy[^1] ^= 1;
        });

        Assert.Equal(new DiskProgress(BlockCount, BlockCount, 2, 2), run.Progress);
        Assert.True(run.Confirmed && run.Content.AsSpan().SequenceEqual(run.Copy));
    }

    [Fact]
    public void Copy_whose_disk_fails_ends_the_clone_with_the_reason()
    {
        var run = new Run(1, loss: 0, writes: true, prepare: run => run.CopyFails = true);

        Assert.False(run.Confirmed);
        Assert.Equal("disk 1 is full", run.Failure);
    }

    [Fact]
    public void Blocks_of_a_disk_that_is_shared_are_refused()
    {
        var receiver = new CloneReceiver(Offer, Options, default, Disks);
        var effects = receiver.Step(default, new CloneReceiverInput.Received(new CloneBlocks(1, 1, 0, 0, BlockBatch.Write([new(0, [])]))));

        Assert.Contains(effects, effect => effect is CloneReceiverEffect.Failed);
    }
}
