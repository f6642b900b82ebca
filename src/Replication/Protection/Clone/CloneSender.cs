using FtAkka.Machine.Digest;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// The primary's half of FT VMotion (the paper, 3.1): sends the whole memory while the machine runs, then in rounds the pages written
/// meanwhile, and when few are left pauses it for as long as copying those takes. Never delays the machine otherwise. Pure.
/// </summary>
public sealed class CloneSender
{
    private enum Phase { Offered, Reading, Collecting, Capturing, Finishing, Confirmed, Failed }

    private readonly CloneOffer _offer;
    private readonly CloneOptions _options;
    private readonly Queue<(ICloneChunk Chunk, Instant Sent, bool Again)> _unconfirmed = new();
    private readonly CloneWindow _window;
    private readonly Queue<Func<ulong, ICloneChunk>> _final = new();
    private IReadOnlyList<long> _round = [];
    private List<CloneSenderEffect> _effects = [];
    private Phase _phase;
    private int _roundNumber;
    private long _roundSent;
    private long _firstPage;
    private bool _reading;
    private ulong _nextSequence;
    private long _confirmedBytes;
    private Instant _begun;
    private Instant _moved;
    private Instant _sent;
    private MachineDigest _digest;
    private bool _started;

    /// <param name="offer">What is offered; sent by the first step.</param>
    /// <param name="options">Limits.</param>
    /// <param name="now">Time.</param>
    public CloneSender(CloneOffer offer, CloneOptions options, Instant now)
    {
        ArgumentNullException.ThrowIfNull(offer);
        ArgumentNullException.ThrowIfNull(options);
        (_offer, _options) = (offer, options);
        _window = new CloneWindow(options, now);
        _begun = _moved = _sent = now;
    }

    /// <summary>It has ended, well or not.</summary>
    public bool IsOver => _phase is Phase.Confirmed or Phase.Failed;

    /// <summary>Chunks under way.</summary>
    public int Unconfirmed => _unconfirmed.Count;

    /// <summary>Takes an input.</summary>
    public IReadOnlyList<CloneSenderEffect> Step(Instant now, CloneSenderInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (IsOver)
            return [];
        if (!_started)
        {
            _started = true;
            Send(now, _offer);
        }
        Take(now, input);
        if (!IsOver)
            Advance(now);
        var effects = _effects;
        _effects = [];
        return effects;
    }

    private void Take(Instant now, CloneSenderInput input)
    {
        switch (input)
        {
            case CloneSenderInput.Received { Message: var message } when message.Generation == _offer.Generation && message.Attempt == _offer.Attempt:
                Hear(now, message);
                break;
            case CloneSenderInput.PagesRead read when _phase == Phase.Reading && _reading:
                _reading = false;
                _roundSent += read.Pages.Count;
                foreach (var chunk in Split(read.Pages))
                    SendChunk(now, chunk(_nextSequence));
                _effects.Add(new CloneSenderEffect.Progress(_roundNumber, _roundSent, RoundLength, _confirmedBytes, now - _begun));
                break;
            case CloneSenderInput.DirtyCollected dirty when _phase == Phase.Collecting:
                NextRound(now, dirty.Pages);
                break;
            case CloneSenderInput.Captured captured when _phase == Phase.Capturing:
                Finish(captured.Capture);
                break;
            case CloneSenderInput.Cancel:
                Fail("cancelled");
                break;
            default:
                break;
        }
    }

    private void Hear(Instant now, IChannelMessage message)
    {
        switch (message)
        {
            case CloneAnswer { Refusal.Length: > 0 } refused when _phase == Phase.Offered:
                Fail(refused.Refusal);
                break;
            case CloneAnswer when _phase == Phase.Offered:
                _phase = Phase.Reading;
                _begun = _moved = now;
                _effects.Add(new CloneSenderEffect.StartDirtyLog());
                break;
            case CloneProgress progress:
                Confirm(now, progress.NextSequence);
                break;
            case CloneAssembled assembled when _phase == Phase.Finishing && _final.Count == 0:
                var digest = new MachineDigest(assembled.Icount, assembled.Cpu, assembled.Devices, assembled.Memory);
                if (digest != _digest)
                {
                    Fail($"the copy differs from the machine: digest {digest} instead of {_digest}");
                    break;
                }
                _phase = Phase.Confirmed;
                _effects.Add(new CloneSenderEffect.Confirmed());
                break;
            case ChannelClosed closed:
                Fail(closed.Text);
                break;
            default:
                break;
        }
    }

    private long RoundLength => _roundNumber == 0 ? _offer.PageCount : _round.Count;

    /// <summary>Reads and sends as far as the window allows, and sends again what got lost.</summary>
    private void Advance(Instant now)
    {
        // The machine's last pages are waited for: nothing that has a limit of its own comes between.
        while (_final.Count > 0 && _window.HasRoom(_unconfirmed.Count))
            SendChunk(now, _final.Dequeue()(_nextSequence));
        if (_phase == Phase.Reading && !_reading && _window.HasRoom(_unconfirmed.Count) && _window.MaySend(now))
            ReadOn();
        if (now - _moved >= _options.SilenceMax && (_phase is Phase.Offered or Phase.Finishing || _unconfirmed.Count > 0))
        {
            Fail("the other side does not answer");
            return;
        }
        if (now - Instant.Max(_moved, _sent) < _options.ResendAfter)
            return;
        if (_phase == Phase.Offered)
            Send(now, _offer);
        for (int i = _unconfirmed.Count; i > 0; i--)
        {
            var (chunk, sent, _) = _unconfirmed.Dequeue();
            Send(now, chunk);
            _unconfirmed.Enqueue((chunk, sent, true));
        }
    }

    private void ReadOn()
    {
        long left = RoundLength - _firstPage;
        if (left == 0)
        {
            _phase = Phase.Collecting;
            _effects.Add(new CloneSenderEffect.CollectDirty());
            return;
        }
        var pages = new long[(int)Math.Min(left, Math.Max(1, _options.ChunkBytes / _offer.PageBytes))];
        for (int i = 0; i < pages.Length; i++)
            pages[i] = _roundNumber == 0 ? _firstPage + i : _round[(int)_firstPage + i];
        _firstPage += pages.Length;
        _reading = true;
        _effects.Add(new CloneSenderEffect.ReadPages(pages));
    }

    private void NextRound(Instant now, IReadOnlyList<long> dirty)
    {
        _roundNumber++;
        (_round, _firstPage, _roundSent) = (dirty, 0, 0);
        bool shrinks = _roundNumber < _options.RoundsMax;
        _phase = shrinks && !FitsThePause(dirty.Count) ? Phase.Reading : Phase.Capturing;
        _effects.Add(new CloneSenderEffect.Progress(_roundNumber, 0, dirty.Count, _confirmedBytes, now - _begun));
        if (_phase == Phase.Capturing)
            _effects.Add(new CloneSenderEffect.PauseAndCapture(dirty));
    }

    /// <summary>Whether so many pages would be sent in <see cref="CloneOptions.PauseTarget"/> at the rate seen so far.</summary>
    private bool FitsThePause(int pages)
    {
        var elapsed = (UInt128)Math.Max(1, (_moved - _begun).Ticks);
        return (UInt128)pages * (UInt128)_offer.PageBytes * elapsed <= (UInt128)_options.PauseTarget.Ticks * (UInt128)_confirmedBytes;
    }

    private void Finish(FinalCapture capture)
    {
        _phase = Phase.Finishing;
        _digest = capture.Digest;
        foreach (var chunk in Split(capture.Pages))
            _final.Enqueue(chunk);
        var (generation, attempt) = (_offer.Generation, _offer.Attempt);
        for (int at = 0; at < Math.Max(1, capture.State.Length); at += _options.ChunkBytes)
        {
            var piece = capture.State.Slice(at, Math.Min(_options.ChunkBytes, capture.State.Length - at));
            _final.Enqueue(sequence => new CloneState(generation, attempt, sequence, capture.State.Length, piece));
        }
        _final.Enqueue(sequence => new CloneFinish(generation, attempt, sequence, capture.Position.LastLsn.Value,
            capture.Position.LastOutput, capture.Digest.Icount));
        _effects.Add(new CloneSenderEffect.Switched(capture.Position));
    }

    private List<Func<ulong, ICloneChunk>> Split(IReadOnlyList<PageContent> pages)
    {
        var chunks = new List<Func<ulong, ICloneChunk>>();
        var part = new List<PageContent>();
        int bytes = 0;
        foreach (var page in pages)
        {
            if (part.Count > 0 && bytes + PageBlock.SizeOf(page) > _options.ChunkBytes)
            {
                chunks.Add(Chunk(part));
                (part, bytes) = ([], 0);
            }
            part.Add(page);
            bytes += PageBlock.SizeOf(page);
        }
        if (part.Count > 0)
            chunks.Add(Chunk(part));
        return chunks;
    }

    private Func<ulong, ICloneChunk> Chunk(List<PageContent> pages) =>
        sequence => new ClonePages(_offer.Generation, _offer.Attempt, sequence, PageBlock.Write(pages));

    private void SendChunk(Instant now, ICloneChunk chunk)
    {
        if (_unconfirmed.Count == 0)
            _moved = now;
        _nextSequence++;
        _unconfirmed.Enqueue((chunk, now, false));
        _window.Sent(BytesOf(chunk));
        Send(now, chunk);
    }

    private void Confirm(Instant now, ulong next)
    {
        // The last chunk stays until the copy is assembled: sent again, it asks for that answer again.
        while (_unconfirmed.TryPeek(out var head) && head.Chunk.Sequence < next && head.Chunk is not CloneFinish)
        {
            _unconfirmed.Dequeue();
            _moved = now;
            _confirmedBytes += BytesOf(head.Chunk);
            if (!head.Again)
                _window.Confirmed(now, head.Sent);
        }
    }

    private static int BytesOf(ICloneChunk chunk) => chunk switch
    {
        ClonePages pages => pages.Pages.Length,
        CloneState state => state.Bytes.Length,
        _ => 0,
    };

    private void Send(Instant now, IChannelMessage message)
    {
        _sent = now;
        _effects.Add(new CloneSenderEffect.Send(message));
    }

    private void Fail(string why)
    {
        _phase = Phase.Failed;
        _unconfirmed.Clear();
        _final.Clear();
        _effects.Add(new CloneSenderEffect.Failed(why));
    }
}
