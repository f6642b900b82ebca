using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine.Digest;
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

    /// <param name="offer">The accepted offer.</param>
    /// <param name="options">Limits.</param>
    /// <param name="now">Time.</param>
    public CloneReceiver(CloneOffer offer, CloneOptions options, Instant now)
    {
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
            case CloneState state when (_state?.Length ?? state.TotalBytes) == state.TotalBytes && state.TotalBytes - _stateLength >= state.Bytes.Length:
                _state ??= new byte[state.TotalBytes];
                state.Bytes.CopyTo(_state, _stateLength);
                _stateLength += state.Bytes.Length;
                break;
            case CloneFinish finish when _state is not null && _stateLength == _state.Length:
                _finish = finish;
                _phase = Phase.Restoring;
                _effects.Add(new CloneReceiverEffect.Restore(ImmutableCollectionsMarshal.AsImmutableArray(_state), Position, finish.Icount));
                break;
            default:
                Fail("a part of the copy is not what it should be");
                break;
        }
    }

    private void SendProgress() =>
        _effects.Add(new CloneReceiverEffect.Send(new CloneProgress(_offer.Generation, _offer.Attempt, _next)));

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
