using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>Sender and receiver of a copy, joined by a channel that may lose and repeat, while the memory is written.</summary>
public sealed class CloneTests
{
    private const int PageBytes = 4;

    private sealed class Memory(int pages)
    {
        public uint[] Pages { get; } = new uint[pages];

        public SortedSet<long> Dirty { get; } = [];

        public PageContent Read(long page) => new(page, Pages[page] == 0 ? [] : [.. BitConverter.GetBytes(Pages[page])]);

        public List<long> Collect()
        {
            List<long> dirty = [.. Dirty];
            Dirty.Clear();
            return dirty;
        }

        public MachineDigest Digest() => new(77, 1, 2, Pages.Aggregate(17ul, (hash, page) => (hash * 31) + page));
    }

    private sealed record Outcome(bool Confirmed, string? Failure, int Rounds, bool Same, bool Assembled);

    [Fact]
    public void Copy_equals_the_machine_at_the_switch_under_loss_and_repetition()
    {
        int confirmed = 0;
        for (int seed = 0; seed < 300; seed++)
        {
            var outcome = Run(seed, loss: seed % 3 == 0 ? 10 : 0);
            Assert.True(outcome.Confirmed == (outcome.Failure is null), $"seed {seed}: {outcome}");
            Assert.True(!outcome.Confirmed || outcome.Same, $"seed {seed}: the copy differs");
            confirmed += outcome.Confirmed ? 1 : 0;
        }
        Assert.InRange(confirmed, 290, 300);
    }

    [Fact]
    public void Busy_machine_is_paused_after_the_last_round_an_idle_one_after_the_first()
    {
        Assert.Equal(10, Run(1, writes: 30).Rounds);
        Assert.Equal(1, Run(1, writes: 0).Rounds);
    }

    [Fact]
    public void Cancel_at_any_step_ends_it_once()
    {
        for (int step = 0; step < 150; step += 7)
            Assert.Equal("cancelled", Run(3, cancelAt: step).Failure);
    }

    [Fact]
    public void Copy_with_a_wrong_digest_is_refused() => Assert.Contains("differs", Run(4, spoil: true).Failure, StringComparison.Ordinal);

    [Fact]
    public void Silent_other_side_ends_it() => Assert.Contains("does not answer", Run(5, loss: 100).Failure, StringComparison.Ordinal);

    /// <summary>A way of so many bytes per millisecond in front of which chunks queue: the window, the longest wait of a heartbeat behind them, and the bytes moved.</summary>
    private static (int Window, double Wait, long Bytes) Way(double bytesPerMs, CloneOptions options, int milliseconds)
    {
        var window = new CloneWindow(options, At(0));
        var queue = new Queue<(double Arrives, int Sent)>();
        (double free, double wait, long bytes) = (0, 0, 0);
        for (int ms = 0; ms < milliseconds; ms++)
        {
            while (queue.TryPeek(out var head) && head.Arrives <= ms)
            {
                queue.Dequeue();
                bytes += options.ChunkBytes;
                window.Confirmed(At(ms), At(head.Sent));
            }
            while (window.HasRoom(queue.Count) && window.MaySend(At(ms)))
            {
                window.Sent(options.ChunkBytes);
                free = Math.Max(free, ms) + (options.ChunkBytes / bytesPerMs);
                queue.Enqueue((free + 1, ms));
            }
            if (ms > 1000)
                wait = Math.Max(wait, free - ms);
        }
        return (window.Chunks, wait, bytes);

        static Instant At(int ms) => new(ms * 10_000L);
    }

    [Theory]
    [InlineData(1_250_000)]
    [InlineData(125_000)]
    [InlineData(12_500)]
    public void Heartbeats_wait_little_behind_a_copy_and_the_way_is_used(int bytesPerMs)
    {
        var options = new CloneOptions();
        var (_, wait, bytes) = Way(bytesPerMs, options, 10_000);
        Assert.True(wait < 60, $"a heartbeat waited {wait} ms");
        Assert.True(bytes > Math.Min(bytesPerMs, options.WindowChunks * options.ChunkBytes / 3) * 10_000L * 0.8, $"{bytes} bytes");
    }

    [Fact]
    public void Rate_of_a_copy_is_limited_where_that_is_wanted()
    {
        var (_, _, bytes) = Way(1_000_000, new CloneOptions { BytesPerSecondMax = 10_000_000 }, 10_000);
        Assert.InRange(bytes, 95_000_000, 101_000_000);
    }

    [Fact]
    public void Page_blocks_come_back_and_nonsense_does_not()
    {
        PageContent[] pages = [new(0, [1, 2, 3, 4]), new(5, []), new(9, [5, 6, 7, 8])];
        var block = PageBlock.Write(pages);

        Assert.Equal(pages.Select(page => page.Page), PageBlock.Read(block, 4, 10)!.Select(page => page.Page));
        Assert.Equal<byte>([5, 6, 7, 8], PageBlock.Read(block, 4, 10)![2].Bytes);
        Assert.Null(PageBlock.Read(block, 4, 9));
        Assert.Null(PageBlock.Read(block, 8, 10));
        Assert.Null(PageBlock.Read(block[..^1], 4, 10));
        Assert.Null(PageBlock.Read([.. block, 1], 4, 10));
    }

    private static Outcome Run(int seed, int loss = 0, int writes = 3, int cancelAt = -1, bool spoil = false)
    {
        var random = new Random(seed);
        var (memory, copy) = (new Memory(200), new Memory(200));
        uint[]? atSwitch = null;
        for (int i = 0; i < 150; i++)
            memory.Pages[i] = (uint)random.Next();
        var options = new CloneOptions { ChunkBytes = 64, WindowChunks = 3, PauseTarget = TimeSpan.FromMilliseconds(3), ResendAfter = TimeSpan.FromMilliseconds(30) };
        var offer = new CloneOffer(1, 1, "vm", "a", "fake", 1, PageBytes, memory.Pages.Length);
        var sender = new CloneSender(offer, options, default);
        var receiver = new CloneReceiver(offer, options, default);
        var inbox = new Queue<(bool ToSender, IChannelMessage Message)>();
        string? failure = null;
        int rounds = 0;
        bool confirmed = false, assembled = false;

        void Post(bool toSender, IChannelMessage message)
        {
            for (int copies = random.Next(100) < loss ? 0 : random.Next(10) == 0 ? 2 : 1; copies > 0; copies--)
                inbox.Enqueue((toSender, message));
        }

        void Tell(Instant now, CloneSenderInput input)
        {
            foreach (var effect in sender.Step(now, input))
            {
                switch (effect)
                {
                    case CloneSenderEffect.Send send: Post(false, send.Message); break;
                    case CloneSenderEffect.StartDirtyLog: memory.Dirty.Clear(); break;
                    case CloneSenderEffect.ReadPages read: Tell(now, new CloneSenderInput.PagesRead([.. read.Pages.Select(memory.Read)])); break;
                    case CloneSenderEffect.CollectDirty: Tell(now, new CloneSenderInput.DirtyCollected(memory.Collect())); break;
                    case CloneSenderEffect.PauseAndCapture pause:
                        atSwitch = [.. memory.Pages];
                        Tell(now, new CloneSenderInput.Captured(new FinalCapture(new LogPosition(new Lsn(5), 6), [.. new byte[100]],
                            [.. pause.AlsoPages.Union(memory.Collect()).Select(memory.Read)], memory.Digest())));
                        break;
                    case CloneSenderEffect.Progress progress: rounds = progress.Round; break;
                    case CloneSenderEffect.Confirmed: confirmed = true; break;
                    case CloneSenderEffect.Failed failed: failure = failed.Why; break;
                    default: break;
                }
            }
        }

        void TellCopy(Instant now, CloneReceiverInput input)
        {
            foreach (var effect in receiver.Step(now, input))
            {
                switch (effect)
                {
                    case CloneReceiverEffect.Send send: Post(true, send.Message); break;
                    case CloneReceiverEffect.WritePages write:
                        foreach (var page in write.Pages)
                            copy.Pages[page.Page] = page.Bytes.Length == 0 ? 0 : BitConverter.ToUInt32([.. page.Bytes]);
                        break;
                    case CloneReceiverEffect.Restore restore:
                        Assert.Equal((new LogPosition(new Lsn(5), 6), 77ul, 100), (restore.Position, restore.Icount, restore.State.Length));
                        copy.Pages[0] += spoil ? 1u : 0;
                        TellCopy(now, new CloneReceiverInput.Restored(copy.Digest()));
                        break;
                    case CloneReceiverEffect.Assembled: assembled = true; break;
                    default: break;
                }
            }
        }

        for (int step = 0; step < 40_000 && !confirmed && failure is null; step++)
        {
            var now = new Instant(step * 10_000L);
            for (int i = 0; i < writes; i++)
            {
                int page = random.Next(memory.Pages.Length);
                memory.Pages[page] = (uint)random.Next();
                memory.Dirty.Add(page);
            }
            if (step == cancelAt)
                Tell(now, new CloneSenderInput.Cancel());
            Tell(now, new CloneSenderInput.Tick());
            if (!inbox.TryDequeue(out var next))
                continue;
            if (next.ToSender)
                Tell(now, new CloneSenderInput.Received(next.Message));
            else
                TellCopy(now, new CloneReceiverInput.Received(next.Message));
        }
        Assert.True(sender.IsOver, $"seed {seed}: no end");
        return new Outcome(confirmed, failure, rounds, atSwitch is not null && copy.Pages.SequenceEqual(atSwitch), assembled);
    }
}
