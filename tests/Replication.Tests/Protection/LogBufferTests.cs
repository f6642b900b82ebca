using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

public sealed class LogBufferTests
{
    private static readonly ProtectionOptions Options = new() { LogEntriesMax = 8, BatchBytesMax = 100, BatchDelayMax = TimeSpan.FromMilliseconds(2) };

    [Fact]
    public void Marks_go_at_once_other_entries_wait_for_company()
    {
        var buffer = new LogSendBuffer(Options, new Lsn(10), At(0));
        buffer.Append(At(0), Clock(11));
        Assert.Empty(buffer.Flush(At(1)));
        Assert.Single(buffer.Flush(At(2)));

        buffer.Append(At(3), Clock(12));
        buffer.Append(At(3), new LogEntry(new Lsn(13), 0, new OutputMarkPayload(1)));
        Assert.Equal([12ul, 13ul], Assert.Single(buffer.Flush(At(3))).Entries.Select(entry => entry.Lsn.Value));
        Assert.Empty(buffer.Flush(At(9)));
    }

    [Fact]
    public void Full_batch_goes_at_once_and_is_cut_by_bytes()
    {
        var buffer = new LogSendBuffer(Options, Lsn.None, At(0));
        for (ulong lsn = 1; lsn <= 5; lsn++)
            buffer.Append(At(0), Clock(lsn));

        Assert.Equal([4, 1], buffer.Flush(At(0)).Select(batch => batch.Entries.Count));
    }

    [Fact]
    public void Stops_when_full_and_goes_on_at_half()
    {
        var buffer = Sent(8);
        Assert.True(buffer.MustStop);

        buffer.Acknowledge(At(1), new Lsn(3));
        Assert.True(buffer.MustStop);
        buffer.Acknowledge(At(1), new Lsn(4));
        Assert.False(buffer.MustStop);
        Assert.Equal(4, buffer.Count);
    }

    [Fact]
    public void Resume_sends_again_what_the_other_side_misses_and_nothing_else()
    {
        var buffer = Sent(6);
        buffer.Acknowledge(At(1), new Lsn(2));

        Assert.True(buffer.TryResume(At(1), new Lsn(4)));
        Assert.Equal([5ul, 6ul], buffer.Flush(At(1)).SelectMany(batch => batch.Entries).Select(entry => entry.Lsn.Value));
        Assert.True(buffer.TryResume(At(2), new Lsn(4)));
        Assert.Empty(buffer.Flush(At(2)));
        Assert.True(buffer.TryResume(At(102), new Lsn(4)));
        Assert.NotEmpty(buffer.Flush(At(102)));
    }

    [Fact]
    public void Resume_before_entries_that_are_gone_is_a_clean_break()
    {
        var buffer = Sent(6);
        buffer.Acknowledge(At(1), new Lsn(5));

        Assert.False(buffer.TryResume(At(1), new Lsn(4)));
        Assert.False(buffer.TryResume(At(1), new Lsn(7)));
    }

    [Fact]
    public void Silence_about_entries_sends_them_again()
    {
        var buffer = Sent(2);
        buffer.ResendWhenStuck(At(99));
        Assert.Empty(buffer.Flush(At(99)));
        buffer.ResendWhenStuck(At(100));
        Assert.NotEmpty(buffer.Flush(At(100)));
    }

    [Fact]
    public void Numbers_never_sent_are_not_believed()
    {
        var buffer = Sent(2);
        buffer.Acknowledge(At(1), new Lsn(3));
        Assert.Equal(Lsn.None, buffer.Acknowledged);
    }

    [Fact]
    public void Receiver_takes_each_entry_once_whatever_is_lost_repeated_or_displaced()
    {
        for (int seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var sender = new LogSendBuffer(Options with { LogEntriesMax = 64 }, Lsn.None, At(0));
            var receiver = new LogReceiveBuffer(Options with { LogEntriesMax = 16 }, Lsn.None);
            var wire = new List<IReadOnlyList<LogEntry>>();
            var taken = new List<ulong>();
            ulong next = 1;
            for (int step = 0; step < 400; step++)
            {
                if (step < 200 && !sender.IsFull)
                    sender.Append(At(step * 20), Clock(next++));
                sender.ResendWhenStuck(At(step * 20));
                wire.AddRange(sender.Flush(At(step * 20)).Select(batch => batch.Entries));
                for (int i = wire.Count; i > 0; i--)
                {
                    int at = random.Next(wire.Count);
                    var run = wire[at];
                    if (random.Next(8) > 0)
                        wire.RemoveAt(at);
                    if (random.Next(4) == 0 && step < 200)
                        continue;
                    var reception = receiver.Receive(run);
                    taken.AddRange(reception.Fresh.Select(entry => entry.Lsn.Value));
                    if (reception.Gap)
                        sender.TryResume(At(step * 20), receiver.LastReceived);
                    else
                        sender.Acknowledge(At(step * 20), receiver.LastReceived);
                    Assert.InRange(receiver.Count, 0, 16);
                    receiver.Executed(new Lsn((ulong)random.Next((int)receiver.LastExecuted.Value, (int)receiver.LastReceived.Value + 1)));
                }
            }
            Assert.True(taken.SequenceEqual(Enumerable.Range(1, taken.Count).Select(i => (ulong)i)), $"seed {seed}");
            Assert.True(taken.Count == (int)next - 1, $"seed {seed}: {taken.Count} of {next - 1}; sent {sender.LastSent}, acknowledged {sender.Acknowledged}, received {receiver.LastReceived}, waiting {receiver.Count}");
        }
    }

    private static LogSendBuffer Sent(ulong entries)
    {
        var buffer = new LogSendBuffer(Options, Lsn.None, At(0));
        for (ulong lsn = 1; lsn <= entries; lsn++)
            buffer.Append(At(0), Clock(lsn));
        buffer.Flush(At(2));
        return buffer;
    }

    private static LogEntry Clock(ulong lsn) => new(new Lsn(lsn), lsn, new InputPayload(new ClockAdvance(lsn)));

    private static Instant At(int milliseconds) => new(milliseconds * 10_000L);
}
