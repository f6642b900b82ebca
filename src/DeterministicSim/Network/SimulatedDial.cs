using Akka.Actor;
using Akka.Remote.Transport;

namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// A process dials another: one attempt after the other, each given up after a while, until one is answered, refused, or the time is over.
/// </summary>
internal sealed class SimulatedDial(SimulatedTransport from, Address remote)
{
    private readonly SimulatedNetwork _network = from.Network;
    private readonly TimeSpan _deadline = from.Network.Time.Now + from.ConnectionTimeout;

    // Its continuations are Akka's, and run where it is completed.
    private readonly TaskCompletionSource<AssociationHandle> _promise = new();
    private readonly SimulatedLink _there = from.Network.Link(from.Host, remote.Host);
    private readonly SimulatedLink _back = from.Network.Link(remote.Host, from.Host);
    private int _attempt;
    private bool _settled;

    public Task<AssociationHandle> Task => _promise.Task;

    private bool IsOver => from.IsDead || _settled;

    public void Begin()
    {
        int attempt = ++_attempt;
        if (_there.IsCut)
        {
            _network.Observer?.Frame(FrameFate.Partitioned, _there.From, _there.To, default);
        }
        else
        {
            _network.Time.Schedule(_there.UnderWay(out _), () => Knock(attempt));
        }

        _network.Time.Schedule(from.AttemptTimeout, () => GiveUp(attempt));
    }

    /// <summary>The first frame is at the other host.</summary>
    private void Knock(int attempt)
    {
        if (IsOver || attempt != _attempt || _there.IsCut)
        {
            return;
        }

        if (_network.Listener(remote) is { } listener)
        {
            var (mine, theirs) = _network.Connect(from, listener, remote);
            listener.Accept(theirs);
            _network.Time.Schedule(_back.UnderWay(out _), () => Answered(attempt, mine));
        }
        else if (_network.Answers(remote))
        {
            _network.Observer?.Frame(FrameFate.NoListener, _there.From, _there.To, default);
            _network.Time.Schedule(_back.UnderWay(out _), () => RefusedBack(attempt));
        }
    }

    private void Answered(int attempt, SimulatedAssociation mine)
    {
        if (IsOver || attempt != _attempt || _back.IsCut)
        {
            // Nobody wants it any more, or knows of it: the other side learns by a reset, or never and gives it up for silence.
            mine.Die();
            if (!_back.IsCut)
            {
                mine.ResetPeer();
            }

            return;
        }

        _settled = true;
        WhenAwake(() =>
        {
            from.Dialled(remote);
            _promise.TrySetResult(mine);
        });
    }

    private void RefusedBack(int attempt)
    {
        if (!IsOver && attempt == _attempt && !_back.IsCut)
        {
            Fail(ConnectionEvent.DialRefused, $"{from.Address} was refused by {remote}: nobody listens there.");
        }
    }

    private void GiveUp(int attempt)
    {
        if (IsOver || attempt != _attempt)
        {
            return;
        }

        if (_network.Time.Now < _deadline)
        {
            Begin();
        }
        else
        {
            Fail(ConnectionEvent.DialTimedOut, $"{from.Address} had no answer from {remote} within {from.ConnectionTimeout.TotalMilliseconds} ms.");
        }
    }

    private void Fail(ConnectionEvent how, string message)
    {
        _settled = true;
        _network.Observer?.Connection(how, from.Host, remote.Host);
        from.DialFailed(remote, message);
        WhenAwake(() => _promise.TrySetException(new InvalidAssociationException(message)));
    }

    private void WhenAwake(Action act)
    {
        if (from.Holds)
        {
            from.Hold(() => RemotingWork.Run(act));
        }
        else
        {
            RemotingWork.Run(act);
        }
    }
}
