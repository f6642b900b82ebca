using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Contract;

/// <summary>
/// The output rule of the paper (2.2), looked at where outputs leave: while a VM has a backup, a device acts only on what that backup will make again, since it has
/// received the log up to the output's mark. What the primary believes of its backup, and what it has told its devices, does not enter.
/// </summary>
internal sealed class OutputRule
{
    private readonly Dictionary<ChannelSession, Lsn> _received = [];

    /// <summary>Looks at another replica from now on.</summary>
    public OutputMarks Watch() => new(this);

    /// <summary>The backup of a session has received the log up to here.</summary>
    public void Received(ChannelSession session, Lsn lsn) => _received[session] = lsn;

    /// <summary>What the backup of a session has received.</summary>
    public Lsn ReceivedIn(ChannelSession session) => _received.GetValueOrDefault(session);
}

/// <summary>Outputs of one replica's machine, each with the entry that covers it, and whether the replica has a backup.</summary>
internal sealed class OutputMarks(OutputRule rule)
{
    private readonly Dictionary<ulong, Lsn> _requests = [];
    private readonly List<(ulong End, Lsn Mark)> _console = [];
    private readonly Dictionary<string, Lsn> _frames = new(StringComparer.Ordinal);
    private ulong _lastRequest;
    private Lsn _recorded;
    private Lsn _beforeBackup;
    private ChannelSession? _session;
    private ChannelSession _heard;

    /// <summary>Looks at a step of the replica's core.</summary>
    public void Stepped(ReplicaInput input, IReadOnlyList<ReplicaEffect> effects)
    {
        switch (input)
        {
            case ReplicaInput.Recorded recorded:
                Note(recorded);
                break;
            case ReplicaInput.Received { Message: var message }:
                _heard = new ChannelSession(message.Generation, message.Attempt);
                break;
            default:
                break;
        }
        foreach (ReplicaEffect effect in effects)
        {
            switch (effect)
            {
                case ReplicaEffect.FeedReplay feed:
                    rule.Received(_heard, feed.Entries[^1].Lsn);
                    break;
                case ReplicaEffect.SendConsoleHistory begins:
                    // What was recorded before has left, or was told to leave, while there was no backup to wait for.
                    (_session, _beforeBackup) = (begins.Session, _recorded);
                    break;
                case ReplicaEffect.RoleChanged { From: ReplicaRole.ProtectedPrimary }:
                    _session = null;
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>The disk is given a request of the guest.</summary>
    /// <returns>What breaks the rule, for people; null if nothing does.</returns>
    public string? DiskActs(ulong request) => _requests.TryGetValue(request, out Lsn mark) ? Judge(mark)
        : _session is not null && _requests.Count > 0 && request > _lastRequest ? "not even recorded" : null;

    /// <summary>The console shows bytes that end before a position of its stream.</summary>
    /// <inheritdoc cref="DiskActs"/>
    public string? ConsoleShows(ulong end)
    {
        if (_session is null || _console.Count == 0)
        {
            return null;
        }
        int at = _console.BinarySearch((end, Lsn.None), Comparer<(ulong End, Lsn Mark)>.Create((one, other) => one.End.CompareTo(other.End)));
        at = at < 0 ? ~at : at;
        return at == _console.Count ? "not even recorded" : Judge(_console[at].Mark);
    }

    /// <summary>The card sends a frame. One that the guest sends again counts as sent the first time.</summary>
    /// <inheritdoc cref="DiskActs"/>
    public string? CardSends(ReadOnlySpan<byte> frame) => _session is not null && _frames.TryGetValue(Convert.ToBase64String(frame), out Lsn mark) ? Judge(mark) : null;

    private string? Judge(Lsn mark)
    {
        if (_session is not { } session || mark <= _beforeBackup)
        {
            return null;
        }
        Lsn received = rule.ReceivedIn(session);
        return received >= mark ? null : $"covered by entry {mark}, and the backup has received entry {received}";
    }

    private void Note(ReplicaInput.Recorded recorded)
    {
        int next = 0;
        ulong last = recorded.Entries.Select(entry => entry.Payload).OfType<OutputMarkPayload>().LastOrDefault()?.LastOutput ?? 0;
        ulong first = last - (ulong)recorded.Outputs.Count;
        foreach (LogEntry entry in recorded.Entries)
        {
            _recorded = entry.Lsn;
            if (entry.Payload is OutputMarkPayload mark)
            {
                for (; first + (ulong)next < mark.LastOutput; next++)
                {
                    Note(recorded.Outputs[next], entry.Lsn);
                }
            }
        }
    }

    private void Note(MachineEffect output, Lsn mark)
    {
        switch (output)
        {
            case DiskRequested request:
                // What only reads changes nothing outside: it leaves at once.
                _requests[request.Request.Id] = request.Request.Kind == DiskRequestKind.Read ? Lsn.None : mark;
                _lastRequest = request.Request.Id;
                break;
            case ConsoleOutput text:
                if (_console.Count > 0 && text.StreamOffset < _console[^1].End)
                {
                    _console.Clear();   // the guest was reset
                }
                _console.Add((text.StreamOffset + (ulong)text.Bytes.Length, mark));
                break;
            case NetTransmit frames:
                foreach (var frame in frames.Frames)
                {
                    _frames.TryAdd(Convert.ToBase64String(frame.AsSpan()), mark);
                }
                break;
            default:
                break;
        }
    }
}
