using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// The primary's half of FT VMotion (the paper, 3.1): sends the whole memory while the machine runs, then in rounds the pages written
/// meanwhile, and when few are left pauses it for as long as copying those takes. Never delays the machine otherwise. Pure.
/// </summary>
public sealed partial class CloneSender
{
    private enum Phase { Offered, Comparing, Reading, Collecting, Capturing, Finishing, Confirmed, Failed }

    private readonly CloneOffer _offer;
    private readonly CloneOptions _options;
    private readonly Queue<(ICloneChunk Chunk, Instant Sent, bool Again)> _unconfirmed = new();
    private readonly CloneWindow _window;
    private readonly Queue<Func<ulong, ICloneChunk>> _final = new();
    private readonly Queue<Func<ulong, ICloneChunk>> _tail = new();
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
    /// <param name="disks">The VM's disks: separate ones are part of the copy.</param>
    public CloneSender(CloneOffer offer, CloneOptions options, Instant now, ImmutableArray<ProtectedDisk> disks = default)
    {
        ArgumentNullException.ThrowIfNull(offer);
        ArgumentNullException.ThrowIfNull(options);
        (_offer, _options) = (offer, options);
        _window = new CloneWindow(options, now);
        _begun = _moved = _sent = now;
        _disks = disks.IsDefault ? [] : disks;
        _blockCount = 0;
        foreach (var disk in _disks)
            _blockCount += disk.Sharing == DiskSharing.Separate ? DiskBlocks.CountOf(disk) : 0;
    }

    /// <summary>It has ended, well or not.</summary>
    public bool IsOver => _phase is Phase.Confirmed or Phase.Failed;

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
                ShowProgress(now);
                break;
            case CloneSenderInput.BlocksHashed or CloneSenderInput.BlocksRead or CloneSenderInput.BlocksFailed:
                TakeBlocks(now, input);
                break;
            case CloneSenderInput.DirtyCollected dirty when _phase == Phase.Collecting:
                NextRound(now, dirty.Pages, dirty.Blocks ?? []);
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
                _begun = _moved = now;
                if (_blockCount > 0)
                    BeginComparing();
                else
                    BeginPages(now);
                break;
            case CloneProgress progress:
                Confirm(now, progress.NextSequence);
                break;
            case CloneBlocksWanted wanted:
                HearWanted(now, wanted);
                break;
            case CloneAssembled assembled when _phase == Phase.Finishing && _final.Count == 0 && _tail.Count == 0:
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
        bool may = _phase == Phase.Finishing || (_phase is Phase.Comparing or Phase.Reading && _window.MaySend(now));
        if (may && !_reading && _window.HasRoom(_unconfirmed.Count))
            ReadOn(now);
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

    private void ReadOn(Instant now)
    {
        if (_phase == Phase.Comparing)
        {
            CompareOn(now);
            return;
        }
        if (BlocksLeft > 0)
        {
            ReadBlocksOn();
            return;
        }
        if (_phase == Phase.Finishing)
        {
            // Behind the last block: the state, and that this was all.
            while (_tail.TryDequeue(out var last))
                _final.Enqueue(last);
            while (_final.Count > 0 && _window.HasRoom(_unconfirmed.Count))
                SendChunk(now, _final.Dequeue()(_nextSequence));
            return;
        }
        if (!_pagesBegun)
            BeginPages(now);
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

    private void NextRound(Instant now, IReadOnlyList<long> dirty, IReadOnlyList<BlockPlace> blocks)
    {
        _roundNumber++;
        (_round, _firstPage, _roundSent) = (dirty, 0, 0);
        (_blocks, _firstBlock) = (blocks, 0);
        bool shrinks = _roundNumber < _options.RoundsMax;
        bool fits = Fits((long)dirty.Count * _offer.PageBytes, _options.PauseTarget) && Fits((long)blocks.Count * DiskBlocks.BlockBytes, _options.BlocksAfterSwitch);
        _phase = shrinks && !fits ? Phase.Reading : Phase.Capturing;
        ShowProgress(now);
        if (_phase == Phase.Capturing)
            _effects.Add(new CloneSenderEffect.PauseAndCapture(dirty));
    }

    /// <summary>Whether so many bytes would be sent in a time, at the rate seen since pages are sent.</summary>
    private bool Fits(long bytes, TimeSpan target)
    {
        var elapsed = (UInt128)Math.Max(1, (_moved - _pagesSince).Ticks);
        return (UInt128)bytes * elapsed <= (UInt128)target.Ticks * (UInt128)(_confirmedBytes - _confirmedBefore);
    }

    private void BeginPages(Instant now)
    {
        (_phase, _pagesBegun, _pagesSince, _confirmedBefore) = (Phase.Reading, true, now, _confirmedBytes);
        _moved = Instant.Max(_moved, now);
        _effects.Add(new CloneSenderEffect.StartDirtyLog());
    }

    private void ShowProgress(Instant now) => _effects.Add(new CloneSenderEffect.Progress(_roundNumber, _roundSent, RoundLength, _confirmedBytes, now - _begun,
        _blockCount == 0 ? null : new DiskProgress(_comparedBlocks, _blockCount, _differing, _sentBlocks)));

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
            _tail.Enqueue(sequence => new CloneState(generation, attempt, sequence, capture.State.Length, piece));
        }
        _tail.Enqueue(sequence => new CloneFinish(generation, attempt, sequence, capture.Position.LastLsn.Value,
            capture.Position.LastOutput, capture.Digest.Icount));
        AddBlocks(capture.Blocks ?? []);
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
        _confirmedTo = Math.Max(_confirmedTo, next);
        // The last chunk stays until the copy is assembled, hashes stay until their answer is here: sent again, they ask for it again.
        while (_unconfirmed.TryPeek(out var head) && head.Chunk.Sequence < _confirmedTo && head.Chunk is not CloneFinish && !IsUnanswered(head.Chunk))
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
        CloneBlocks blocks => blocks.Blocks.Length,
        CloneBlockHashes hashes => hashes.Hashes.Length,
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
