using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Remote.Transport;
using FtAkka.LogChannelActors.Remoting;
using Google.Protobuf;

namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// One end of a simulated connection. Like a socket it ends for its own process only: the other end learns of it by a frame behind those under
/// way, by what it sends itself, or by silence.
/// </summary>
internal sealed class SimulatedAssociation : AssociationHandle
{
    private readonly SimulatedTransport _transport;
    private readonly InboundScope _scope = new();
    private readonly bool _dialled;
    private readonly Queue<ByteString> _early = new();
    private readonly PeerIdentity _peerIdentity;
    private readonly PduGuard _guard;
    private IHandleEventListener? _reader;
    private SimulatedAssociation _peer = null!;
    private SimulatedPipe _out = null!;
    private bool _registered;

    private SimulatedAssociation(SimulatedTransport transport, SimulatedTransport other, Address remote, bool dialled)
        : base(transport.Address, remote)
    {
        _dialled = dialled;
        _transport = transport;
        _peerIdentity = new PeerIdentity(other.Host, [other.Host]);
        _guard = new PduGuard(transport.Rules, _peerIdentity, transport.Address, dialled ? remote : null);
        ReadHandlerSource.Task.ContinueWith(
            source => StartReading(source.Result), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>The process at this end.</summary>
    public SimulatedTransport Transport => _transport;

    /// <summary>The other end.</summary>
    public SimulatedAssociation Peer => _peer;

    /// <summary>This process has given the connection up, or has died.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>The other side has said who it is.</summary>
    public bool IsIntroduced => _guard.Origin is not null;

    /// <summary>This process has sent a message over it.</summary>
    public bool CarriedMessage { get; private set; }

    private SimulatedNetwork Network => _transport.Network;

    /// <summary>Makes both ends: the first is the dialler's.</summary>
    public static (SimulatedAssociation Dialler, SimulatedAssociation Listener) Connect(SimulatedTransport from, SimulatedTransport to, Address dialled)
    {
        var dialler = new SimulatedAssociation(from, to, dialled, dialled: true);
        var listener = new SimulatedAssociation(to, from, from.Address, dialled: false);
        (dialler._peer, listener._peer) = (listener, dialler);
        dialler._out = new SimulatedPipe(from.Network, from.Network.Link(from.Host, to.Host), listener);
        listener._out = new SimulatedPipe(from.Network, from.Network.Link(to.Host, from.Host), dialler);
        return (dialler, listener);
    }

    /// <inheritdoc/>
    public override bool Write(ByteString payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        if (_transport.IsDead)
        {
            return true;   // whoever still runs after the power has gone must not look for another way
        }

        if (HasEnded)
        {
            return false;
        }

        bool isControl = PduPeek.IsControl(payload.Span);
        CarriedMessage |= !isControl;
        _out.Send(new SimulatedFrame(payload, isControl));
        return true;
    }

    /// <inheritdoc/>
#pragma warning disable CS0672, CS0618 // Abstract in Akka still, and what its newer overload calls.
    public override void Disassociate()
#pragma warning restore CS0672, CS0618
    {
        if (!HasEnded && !_transport.IsDead)
        {
            Leave();
            _out.Send(new SimulatedFrame(null, IsControl: true));
        }
    }

    /// <inheritdoc/>
    /// <remarks>Akka's own compares addresses, by which two connections of the same processes would be one.</remarks>
    public override bool Equals(object? obj) => ReferenceEquals(this, obj);

    /// <inheritdoc/>
    public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

    /// <summary>A frame comes out of the network at this end.</summary>
    public void Arrive(SimulatedFrame frame, SimulatedLink link)
    {
        if (_transport.IsDead)
        {
            Network.Observer?.Frame(FrameFate.OldIncarnation, link.From, link.To, frame.Bytes);
            if (Network.Answers(_transport))
            {
                ResetPeer();
            }
        }
        else if (_transport.Holds)
        {
            _transport.Hold(() => Arrive(frame, link));
        }
        else
        {
            Accept(frame, link);
        }
    }

    /// <summary>Whoever reads here is told that the connection has ended; the other end is not.</summary>
    public void End()
    {
        if (_transport.IsDead || HasEnded)
        {
            return;
        }

        if (_transport.Holds)
        {
            _transport.Hold(End);
            return;
        }

        Leave();
        if (_reader is { } reader)
        {
            RemotingWork.Run(() => reader.Notify(new Disassociated(DisassociateInfo.Unknown)));
        }
    }

    /// <summary>Ends here, and tells the other end by a reset, which may get lost.</summary>
    public void EndBoth()
    {
        End();
        ResetPeer();
    }

    /// <summary>The host of this end says to the other that it knows nothing of the connection.</summary>
    public void ResetPeer()
    {
        if (!_peer.HasEnded && !_out.Link.IsCut)
        {
            _out.SendReset();
        }
    }

    /// <summary>The process is gone, without a word to anybody.</summary>
    public void Die() => Leave(learned: false);

    private void Accept(SimulatedFrame frame, SimulatedLink link)
    {
        if (HasEnded)
        {
            Network.Observer?.Frame(FrameFate.AfterEnd, link.From, link.To, frame.Bytes);
            ResetPeer();
        }
        else if (frame.Unit is not { } unit)
        {
            End();
        }
        else if (frame.IsCorrupted)
        {
            Network.Observer?.Frame(FrameFate.Corrupted, link.From, link.To, frame.Bytes);
            EndBoth();
        }
        else if (Judge(unit) is { } refusal)
        {
            Network.Observer?.Frame(FrameFate.Refused, link.From, link.To, frame.Bytes);
            _transport.Refused(_peer._transport.Host, refusal);
            EndBoth();
        }
        else
        {
            Network.Observer?.Frame(FrameFate.Delivered, link.From, link.To, frame.Bytes);
            HandOver(unit);
        }
    }

    private string? Judge(ByteString unit)
    {
        if (_guard.Refuse(unit.Span) is { } refusal)
        {
            return refusal;
        }

        if (!_registered && _guard.Origin is { } origin)
        {
            _registered = _transport.Peers.Register(origin, _peerIdentity.Node);
            if (_registered && _dialled)
            {
                Network.LimitFirstMessage(this);
            }

            return _registered ? null : $"{origin} is another node's";
        }

        return null;
    }

    private void HandOver(ByteString unit)
    {
        if (_reader is not { } reader)
        {
            _early.Enqueue(unit);
            return;
        }

        using (_scope.Enter())
        {
            RemotingWork.Run(() => reader.Notify(new InboundPayload(unit)));
        }

        if (_scope.Refusal is { } refusal && !HasEnded)
        {
            _transport.Refused(_peer._transport.Host, refusal);
            EndBoth();
        }
    }

    private void StartReading(IHandleEventListener reader)
    {
        _reader = reader;
        while (_early.TryDequeue(out var unit))
        {
            reader.Notify(new InboundPayload(unit));
        }

        if (HasEnded && !_transport.IsDead)
        {
            reader.Notify(new Disassociated(DisassociateInfo.Unknown));
        }
    }


    private void Leave(bool learned = true)
    {
        HasEnded = true;
        if (_registered)
        {
            _registered = false;
            _transport.Peers.Unregister(_guard.Origin!, _peerIdentity.Node);
        }

        Network.Ended(this, learned);
    }
}
