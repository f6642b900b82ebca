using System.Collections.Immutable;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// Separate disks. First hashes of all blocks go over, and the other side says which blocks it has with another content; those are sent in the first
/// round, and in each further one what was changed meanwhile. What is left at the switch is read while the machine runs on: what it writes then stands in the
/// log, and the backup writes it again.
/// </summary>
public sealed partial class CloneSender
{
    private readonly ImmutableArray<ProtectedDisk> _disks;
    private readonly SortedDictionary<ulong, CloneBlockHashes> _unanswered = [];
    private readonly List<BlockPlace> _wanted = [];
    private readonly long _blockCount;
    private IReadOnlyList<BlockPlace> _blocks = [];
    private int _firstBlock;
    private int _compareDisk;
    private long _compareNext;
    private (int Disk, long First) _hashed;
    private int _blocksDisk;
    private long _comparedBlocks;
    private long _differing;
    private long _sentBlocks;
    private ulong _confirmedTo;
    private bool _pagesBegun;
    private Instant _pagesSince;
    private long _confirmedBefore;

    private int BlocksLeft => _blocks.Count - _firstBlock;

    private bool IsUnanswered(ICloneChunk chunk) => chunk is CloneBlockHashes && _unanswered.ContainsKey(chunk.Sequence);

    private void BeginComparing()
    {
        _phase = Phase.Comparing;
        _effects.Add(new CloneSenderEffect.StartBlockLog());
    }

    private void CompareOn(Instant now)
    {
        while (_compareDisk < _disks.Length
            && (_disks[_compareDisk].Sharing != DiskSharing.Separate || _compareNext == DiskBlocks.CountOf(_disks[_compareDisk])))
        {
            (_compareDisk, _compareNext) = (_compareDisk + 1, 0);
        }
        if (_compareDisk < _disks.Length)
        {
            int count = (int)Math.Min(CloneBlockHashes.BlocksMax, DiskBlocks.CountOf(_disks[_compareDisk]) - _compareNext);
            _hashed = (_compareDisk, _compareNext);
            _compareNext += count;
            _reading = true;
            _effects.Add(new CloneSenderEffect.HashBlocks(_hashed.Disk, _hashed.First, count));
        }
        else if (_unanswered.Count == 0)
        {
            _phase = Phase.Reading;
            (_blocks, _firstBlock) = (_wanted, 0);
            ReadOn(now);
        }
    }

    private void TakeBlocks(Instant now, CloneSenderInput input)
    {
        if (!_reading)
            return;
        _reading = false;
        switch (input)
        {
            case CloneSenderInput.BlocksHashed hashed when _phase == Phase.Comparing:
                var chunk = new CloneBlockHashes(_offer.Generation, _offer.Attempt, _nextSequence, _hashed.Disk, _hashed.First, BlockBatch.WriteHashes(hashed.Hashes));
                _unanswered.Add(_nextSequence, chunk);
                SendChunk(now, chunk);
                break;
            case CloneSenderInput.BlocksRead read:
                foreach (var block in read.Blocks)
                    SendChunk(now, new CloneBlocks(_offer.Generation, _offer.Attempt, _nextSequence, _blocksDisk, BlockBatch.Write([block])));
                _sentBlocks += read.Blocks.Count;
                ShowProgress(now);
                break;
            case CloneSenderInput.BlocksFailed failed:
                Fail(failed.Why);
                break;
            default:
                break;
        }
    }

    private void HearWanted(Instant now, CloneBlocksWanted message)
    {
        if (!_unanswered.Remove(message.Sequence, out var asked))
            return;
        int count = asked.Hashes.Length / BlockHash.SizeBytes;
        for (int i = 0; i < count; i++)
        {
            if ((message.Wanted & (1UL << i)) != 0)
            {
                _wanted.Add(new BlockPlace(asked.Disk, asked.First + i));
                _differing++;
            }
        }
        _comparedBlocks += count;
        Confirm(now, _confirmedTo);
        ShowProgress(now);
    }

    private void ReadBlocksOn()
    {
        _blocksDisk = _blocks[_firstBlock].Disk;
        var blocks = new List<long>();
        int most = Math.Max(1, _options.ChunkBytes / DiskBlocks.BlockBytes);
        while (BlocksLeft > 0 && blocks.Count < most && _blocks[_firstBlock].Disk == _blocksDisk)
            blocks.Add(_blocks[_firstBlock++].Block);
        _reading = true;
        _effects.Add(new CloneSenderEffect.ReadBlocks(_blocksDisk, blocks));
    }

    /// <summary>Blocks that the switch leaves, beside those of a round that was not begun.</summary>
    private void AddBlocks(IReadOnlyList<BlockPlace> more)
    {
        var all = new List<BlockPlace>();
        for (int i = _firstBlock; i < _blocks.Count; i++)
            all.Add(_blocks[i]);
        all.AddRange(more);
        (_blocks, _firstBlock) = (all, 0);
    }
}
