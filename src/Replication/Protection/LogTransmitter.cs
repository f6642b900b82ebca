using System.Runtime.InteropServices;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection;

/// <summary>What a primary says of itself in every message of the log.</summary>
/// <param name="LastLsn">Newest entry recorded.</param>
/// <param name="LastReleased">Every output up to this number has left.</param>
/// <param name="Entitled">The backup may take over once it has received <paramref name="EntitledFrom"/>.</param>
/// <param name="EntitledFrom">The entry that the backup needs for it.</param>
internal readonly record struct PrimaryState(Lsn LastLsn, ulong LastReleased, bool Entitled, Lsn EntitledFrom);

/// <summary>Sends the log of one session to the backup: entries when they are due, and the watermark of released outputs or a heartbeat when there are none.</summary>
internal sealed class LogTransmitter(ReplicaCore core, ProtectionOptions options, ChannelSession session, string peer, Instant now)
{
    private Instant _lastSent = now;
    private Instant _lastReleasedSent;
    private ulong _releasedSent;

    /// <summary>Bytes of entries sent, repetitions included.</summary>
    public long BytesSent { get; private set; }

    /// <summary>The next <see cref="Talk"/> sends something, whether or not it is due.</summary>
    public void SpeakAtOnce() => _lastSent = Instant.Earliest;

    /// <summary>Sends what is due.</summary>
    /// <param name="now">Time.</param>
    /// <param name="log">Entries for the backup; null while it must not have any.</param>
    /// <param name="knowsLog">Whether the backup's log has begun, so that the watermark means something to it.</param>
    /// <param name="state">What every message says of the primary.</param>
    /// <returns>True if a heartbeat was sent.</returns>
    public bool Talk(Instant now, LogSendBuffer? log, bool knowsLog, PrimaryState state)
    {
        foreach (var batch in log?.Flush(now) ?? [])
            SendAppend(now, LogFrame.Write(batch.Entries), batch.Entries[0].Lsn, batch.Entries[^1].Lsn, batch.Recorded, state);
        if (_lastSent == Instant.Earliest || now - _lastSent >= options.HeartbeatInterval)
        {
            SendAppend(now, [], state.LastLsn, state.LastLsn, now, state);
            return true;
        }
        if (state.LastReleased > _releasedSent && knowsLog && now - Instant.Max(_lastSent, _lastReleasedSent) >= options.BatchDelayMax)
        {
            (_releasedSent, _lastReleasedSent) = (state.LastReleased, now);
            core.Send(peer, new LogReleased(state.LastReleased, session.Generation, session.Attempt));
        }
        return false;
    }

    private void SendAppend(Instant now, byte[] frames, Lsn first, Lsn last, Instant recorded, PrimaryState state)
    {
        _lastSent = now;
        BytesSent += frames.Length;
        _releasedSent = state.LastReleased;
        core.Send(peer, new LogAppend(ImmutableCollectionsMarshal.AsImmutableArray(frames), first.Value, last.Value,
            session.Generation, session.Attempt, now.Ticks, recorded.Ticks, state.LastReleased, state.Entitled, state.EntitledFrom.Value));
    }
}
