using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>
/// A primary that makes a copy: drives the <see cref="CloneSender"/>, and keeps the log that begins with the copy until the backup may have it. The machine
/// runs on, unprotected.
/// </summary>
internal sealed class CloneSwitch
{
    private readonly ReplicaCore _core;
    private readonly ProtectionOptions _options;
    private readonly CloneSender _sender;
    private bool _ended;

    /// <param name="core">The replica.</param>
    /// <param name="setup">What it works with.</param>
    /// <param name="peer">The node of the new backup.</param>
    /// <param name="session">The session.</param>
    /// <param name="pageCount">Pages of the machine's memory.</param>
    /// <param name="now">Time.</param>
    public CloneSwitch(ReplicaCore core, ReplicaSetup setup, string peer, ChannelSession session, int pageCount, Instant now)
    {
        (_core, _options, Peer, Session) = (core, setup.Protection, peer, session);
        _sender = new CloneSender(setup.OfferOf(session, pageCount), setup.CloneLimits, now, setup.Protection.Disks);
        Transmitter = new LogTransmitter(core, setup.Protection, session, peer, now);
    }

    /// <summary>The node of the new backup.</summary>
    public string Peer { get; }

    /// <summary>The session.</summary>
    public ChannelSession Session { get; }

    /// <summary>Speaks to the backup.</summary>
    public LogTransmitter Transmitter { get; }

    /// <summary>The log that follows the copy; null until the final copy was taken.</summary>
    public SwitchedLog? Log { get; private set; }

    /// <summary>The backup has assembled the copy, and it is the right one.</summary>
    public bool IsConfirmed { get; private set; }

    /// <summary>How far the copy is; null before the first page.</summary>
    public CloneView? Progress { get; private set; }

    /// <summary>Takes an input of the copy.</summary>
    /// <returns>Why the copy failed; null if it did not.</returns>
    public string? Step(Instant now, CloneSenderInput input, ulong icount)
    {
        if (_ended)
            return null;
        string? failure = null;
        var pause = (input as CloneSenderInput.Captured)?.Capture.Pause ?? Progress?.Pause ?? TimeSpan.Zero;
        foreach (var effect in _sender.Step(now, input))
        {
            switch (effect)
            {
                case CloneSenderEffect.Send send:
                    _core.Send(Peer, send.Message);
                    break;
                case CloneSenderEffect.Work work:
                    _core.Emit(new ReplicaEffect.ReadCopy(Session, work));
                    break;
                case CloneSenderEffect.Switched switched:
                    Log = new SwitchedLog(switched.Position, new LogSendBuffer(_options, switched.Position.LastLsn, now),
                        new LagController(_options, switched.Position.LastLsn, now, icount));
                    break;
                case CloneSenderEffect.Confirmed:
                    IsConfirmed = Log is not null;
                    break;
                case CloneSenderEffect.Failed failed:
                    failure = failed.Why;
                    break;
                case CloneSenderEffect.Progress made:
                    Progress = new CloneView(made.Round, made.Sent, made.Of, pause, made.Bytes, made.Elapsed, made.Disks);
                    break;
                default:
                    throw new InvalidOperationException($"Nobody performs {effect}.");
            }
        }
        Progress = Progress is { } shown ? shown with { Pause = pause } : null;
        if (_sender.IsOver)
            End();
        return failure;
    }

    /// <summary>Nothing more is read from the machine for this copy.</summary>
    public void End()
    {
        if (!_ended)
            _core.Emit(new ReplicaEffect.EndCopy(Session));
        _ended = true;
    }
}

/// <summary>The log for a backup, from the final copy on.</summary>
/// <param name="From">The position of the machine's log at the copy.</param>
/// <param name="Entries">Entries that the backup has not acknowledged.</param>
/// <param name="Lag">How far the backup is behind.</param>
internal sealed record SwitchedLog(LogPosition From, LogSendBuffer Entries, LagController Lag);
