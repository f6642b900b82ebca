using System.Runtime.InteropServices;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>When a backup acknowledges what it receives (the paper, 2.2 and 3.2): an output's mark at once, other entries together.</summary>
public sealed class AcknowledgementTests
{
    private static readonly ProtectionOptions Options = new() { BatchBytesMax = 1000 };
    private static readonly ChannelSession Session = new(1, 1);

    private readonly ReplicaCore backup;
    private ulong lsn;

    public AcknowledgementTests()
    {
        (backup, IReadOnlyList<ReplicaEffect> assembled) = AssembledBackup.At(At(1), Options);
        Assert.NotEmpty(Acks(assembled));
        Assert.NotEmpty(Append(2, Entry()));
        Assert.Equal(ReplicaRole.Backup, backup.Role);
    }

    private static Instant At(int milliseconds) => new(milliseconds * TimeSpan.TicksPerMillisecond);

    private static IReadOnlyList<LogAck> Acks(IReadOnlyList<ReplicaEffect> effects) => [.. effects.OfType<ReplicaEffect.Send>().Select(send => send.Message).OfType<LogAck>()];

    private LogEntry Entry(LogPayload? payload = null) => new(new Lsn(++lsn), lsn, payload ?? new InputPayload(new ClockAdvance(1)));

    private IReadOnlyList<LogAck> Append(int milliseconds, params LogEntry[] entries)
    {
        byte[] frames = entries.Length == 0 ? [] : LogFrame.Write(entries);
        return Acks(backup.Step(At(milliseconds), new ReplicaInput.Received(new LogAppend(ImmutableCollectionsMarshal.AsImmutableArray(frames),
            entries.FirstOrDefault()?.Lsn.Value ?? lsn, lsn, Session.Generation, Session.Attempt, At(milliseconds).Ticks, At(milliseconds).Ticks, 0, true, 0))));
    }

    [Fact]
    public void Mark_of_an_output_is_acknowledged_at_once() =>
        Assert.Equal(3ul, Assert.Single(Append(3, Entry(), Entry(new OutputMarkPayload(1)))).ReceivedLsn);

    [Fact]
    public void Entries_that_no_output_waits_for_are_acknowledged_together_after_the_interval()
    {
        for (int ms = 3; ms < 12; ms++)
            Assert.Empty(Append(ms, Entry()));
        Assert.Equal(lsn, Assert.Single(Acks(backup.Step(At(12), new ReplicaInput.Tick()))).ReceivedLsn);
        Assert.Empty(Acks(backup.Step(At(30), new ReplicaInput.Tick())));
    }

    [Fact]
    public void Many_bytes_are_acknowledged_at_once() =>
        Assert.InRange(Enumerable.Range(0, 200).Sum(_ => Append(3, Entry()).Count), 1, 20);

    [Fact]
    public void Heartbeat_is_answered_at_once() => Assert.NotEmpty(Append(3));

    [Fact]
    public void Entries_that_came_before_are_acknowledged_at_once_since_the_primary_does_not_know_it()
    {
        LogEntry entry = Entry();
        Assert.Empty(Append(3, entry));
        Assert.NotEmpty(Append(4, entry));
    }

    [Fact]
    public void Gap_is_told_at_once()
    {
        Entry();
        Assert.True(Assert.Single(Append(3, Entry())).Resend);
    }
}
