using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// The backup's half of FT VMotion: takes chunks in order, whatever the channel repeats or loses, and says when the machine can be
/// restored. Pure.
/// </summary>
public sealed class CloneReceiver
{
    private enum Phase { Receiving, Restoring, Assembled, Failed }

    private readonly CloneOffer _offer;
    private readonly CloneOptions _options;
    private List<CloneReceiverEffect> _effects = [];
    private byte[]? _state;
    private int _stateLength;
    private Phase _phase;
    private ulong _next;
    private Instant _moved;
    private CloneFinish? _finish;
    private MachineDigest _digest;
    private readonly ImmutableArray<ProtectedDisk> _disks;
    private readonly SortedSet<ulong> _atDisk = [];
    private readonly SortedDictionary<ulong, ulong> _wanted = [];

    /// <param name="offer">The accepted offer.</param>
    /// <param name="options">Limits.</param>
    /// <param name="now">Time.</param>
    /// <param name="disks">The VM's disks: separate ones are part of the copy.</param>
    public CloneReceiver(CloneOffer offer, CloneOptions options, Instant now, ImmutableArray<ProtectedDisk> disks = default)
    {
        _disks = disks.IsDefault ? [] : disks;
        ArgumentNullException.ThrowIfNull(offer);
        ArgumentNullException.ThrowIfNull(options);
        (_offer, _options, _moved) = (offer, options, now);
    }

    /// <summary>It has ended, well or not. An assembled one still answers a primary that has not heard of it.</summary>
    public bool IsOver => _phase is Phase.Assembled or Phase.Failed;

    /// <summary>Takes an input. The offer itself, repeated, is answered again.</summary>
    public IReadOnlyList<CloneReceiverEffect> Step(Instant now, CloneReceiverInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (_phase == Phase.Failed)
            return [];
        switch (input)
        {
            case CloneReceiverInput.Received { Message: var message } when message.Generation == _offer.Generation && message.Attempt == _offer.Attempt:
                Hear(now, message);
                break;
            case CloneReceiverInput.Restored restored when _phase == Phase.Restoring:
                _phase = Phase.Assembled;
                _digest = restored.Digest;
                _effects.Add(new CloneReceiverEffect.Assembled(Position, _finish!.Icount));
                SendAssembled();
                break;
            case CloneReceiverInput.RestoreFailed failed when _phase == Phase.Restoring:
                Fail(failed.Why);
                break;
            case CloneReceiverInput.BlocksCompared compared when _atDisk.Remove(compared.Sequence):
                _moved = now;
                _wanted[compared.Sequence] = compared.Differing;
                if (_wanted.Count > 2 * _options.WindowChunks)
                    _wanted.Remove(FirstWanted());
                SendWanted(compared.Sequence, compared.Differing);
                DiskDone();
                break;
            case CloneReceiverInput.BlocksWritten written when _atDisk.Remove(written.Sequence):
                _moved = now;
                DiskDone();
                break;
            case CloneReceiverInput.BlocksFailed failed when _phase is Phase.Receiving:
                Fail(failed.Why);
                break;
            case CloneReceiverInput.Tick when _phase == Phase.Receiving && now - _moved >= _options.SilenceMax + _options.SilenceMax:
                Fail("the primary does not go on with the copy");
                break;
            default:
                break;
        }
        var effects = _effects;
        _effects = [];
        return effects;
    }

    private LogPosition Position => new(new Lsn(_finish!.LastLsn), _finish.LastOutput);

    private void Hear(Instant now, IChannelMessage message)
    {
        switch (message)
        {
            case CloneOffer:
                _effects.Add(new CloneReceiverEffect.Send(new CloneAnswer(_offer.Generation, _offer.Attempt, "")));
                break;
            case ICloneChunk chunk when chunk.Sequence == _next && _phase == Phase.Receiving:
                _moved = now;
                Take(chunk);
                if (_phase != Phase.Failed)
                    SendProgress();
                break;
            case CloneFinish when _phase == Phase.Assembled:
                SendAssembled();
                break;
            case ICloneChunk:
                if (message is CloneBlockHashes again && _wanted.TryGetValue(again.Sequence, out ulong wanted))
                    SendWanted(again.Sequence, wanted);
                SendProgress();
                break;
            case ChannelClosed when _phase != Phase.Assembled:
                _phase = Phase.Failed;
                _effects.Add(new CloneReceiverEffect.Failed("the primary gave up"));
                break;
            default:
                break;
        }
    }

    private void Take(ICloneChunk chunk)
    {
        _next++;
        switch (chunk)
        {
            case ClonePages block when PageBlock.Read(block.Pages, _offer.PageBytes, _offer.PageCount) is { } pages:
                _effects.Add(new CloneReceiverEffect.WritePages(pages));
                break;
            case CloneBlockHashes hashes when SeparateDisk(hashes.Disk) is { } disk && BlockBatch.ReadHashes(hashes.Hashes, disk, hashes.First) is { } read:
                _atDisk.Add(chunk.Sequence);
                _effects.Add(new CloneReceiverEffect.CompareBlocks(chunk.Sequence, hashes.Disk, hashes.First, read));
                break;
            case CloneBlocks batch when SeparateDisk(batch.Disk) is { } disk && BlockBatch.Read(batch.Blocks, disk) is { } blocks:
                _atDisk.Add(chunk.Sequence);
                _effects.Add(new CloneReceiverEffect.WriteBlocks(chunk.Sequence, batch.Disk, blocks));
                break;
            case CloneState state when (_state?.Length ?? state.TotalBytes) == state.TotalBytes && state.TotalBytes - _stateLength >= state.Bytes.Length:
                _state ??= new byte[state.TotalBytes];
                state.Bytes.CopyTo(_state, _stateLength);
                _stateLength += state.Bytes.Length;
                break;
            case CloneFinish finish when _state is not null && _stateLength == _state.Length:
                _finish = finish;
                RestoreWhenWritten();
                break;
            default:
                Fail("a part of the copy is not what it should be");
                break;
        }
    }

    private ProtectedDisk? SeparateDisk(int disk) =>
        disk < _disks.Length && _disks[disk].Sharing == DiskSharing.Separate ? _disks[disk] : null;

    private ulong FirstWanted()
    {
        foreach (ulong sequence in _wanted.Keys)
            return sequence;
        return 0;
    }

    private void DiskDone()
    {
        SendProgress();
        if (_finish is not null && _phase == Phase.Receiving)
            RestoreWhenWritten();
    }

    /// <summary>Replay writes to the disks as well: not before the copy of them is complete.</summary>
    private void RestoreWhenWritten()
    {
        if (_atDisk.Count > 0)
            return;
        _phase = Phase.Restoring;
        _effects.Add(new CloneReceiverEffect.Restore(ImmutableCollectionsMarshal.AsImmutableArray(_state), Position, _finish!.Icount));
    }

    private void SendWanted(ulong sequence, ulong wanted) =>
        _effects.Add(new CloneReceiverEffect.Send(new CloneBlocksWanted(_offer.Generation, _offer.Attempt, sequence, wanted)));

    /// <summary>What is still on its way to a disk counts as not taken: a slow disk slows the sender.</summary>
    private void SendProgress() => _effects.Add(new CloneReceiverEffect.Send(
        new CloneProgress(_offer.Generation, _offer.Attempt, _atDisk.Count > 0 ? _atDisk.Min : _next)));

    private void SendAssembled() => _effects.Add(new CloneReceiverEffect.Send(new CloneAssembled(
        _offer.Generation, _offer.Attempt, _digest.Icount, _digest.Cpu, _digest.Devices, _digest.Memory)));

    private void Fail(string why)
    {
        _phase = Phase.Failed;
        _state = null;
        _effects.Add(new CloneReceiverEffect.Send(new ChannelClosed(_offer.Generation, _offer.Attempt, ChannelCloseReason.CloneFailed, why)));
        _effects.Add(new CloneReceiverEffect.Failed(why));
    }
}
