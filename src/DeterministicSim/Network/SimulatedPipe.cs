using Google.Protobuf;

namespace FtAkka.DeterministicSim.Network;

/// <summary>What travels on a connection: a unit of Akka's protocol, or the end of the sender's side.</summary>
/// <param name="Unit">The unit; null is the end, behind everything that was sent before it.</param>
/// <param name="IsControl">Never lost, doubled or overtaken.</param>
internal sealed record SimulatedFrame(ByteString? Unit, bool IsControl)
{
    /// <summary>Changed under way.</summary>
    public bool IsCorrupted { get; set; }

    public ReadOnlySpan<byte> Bytes => Unit is null ? default : Unit.Span;
}

/// <summary>One direction of a connection.</summary>
internal sealed class SimulatedPipe(SimulatedNetwork network, SimulatedLink link, SimulatedAssociation receiver)
{
    private readonly Queue<SimulatedFrame> _waiting = new();
    private TimeSpan _last;
    private TimeSpan _lastControl;

    public SimulatedLink Link { get; } = link;

    public void Send(SimulatedFrame frame)
    {
        var quality = Link.Quality;
        if (!frame.IsControl && network.Random.Chance(quality.LossPerMillion))
        {
            Observe(FrameFate.Lost, frame);
            return;
        }

        Dispatch(frame, quality);
        if (!frame.IsControl && network.Random.Chance(quality.DuplicationPerMillion))
        {
            Observe(FrameFate.Duplicated, frame);
            Dispatch(new SimulatedFrame(frame.Unit, frame.IsControl), quality);
        }
    }

    /// <summary>Says to the receiver that the sender's host knows nothing of the connection: behind what is under way, but lost in a cut.</summary>
    public void SendReset()
    {
        var arrival = network.Time.Now + Link.UnderWay(out _);
        _last = arrival > _last ? arrival : _last;
        network.Time.Schedule(_last - network.Time.Now, () =>
        {
            if (!Link.IsCut)
            {
                receiver.End();
            }
        });
    }

    /// <summary>The link was mended a while ago: what waits arrives now, in order, unless the link is cut again.</summary>
    public void SendAgain()
    {
        if (Link.IsCut)
        {
            Link.AwaitMending(this);
            return;
        }

        while (_waiting.TryDequeue(out var frame))
        {
            receiver.Arrive(frame, Link);
        }
    }

    private void Dispatch(SimulatedFrame frame, LinkQuality quality)
    {
        var arrival = network.Time.Now + Link.UnderWay(out bool late);
        if (late)
        {
            Observe(FrameFate.Late, frame);
        }

        bool mayOvertake = quality.Reorder && !frame.IsControl;
        if (arrival < _last && mayOvertake && arrival >= _lastControl)
        {
            Observe(FrameFate.Overtook, frame);
        }

        var earliest = mayOvertake ? _lastControl : _last;
        arrival = arrival < earliest ? earliest : arrival;
        _last = arrival > _last ? arrival : _last;
        _lastControl = frame.IsControl ? _last : _lastControl;
        frame.IsCorrupted = network.Random.Chance(quality.CorruptionPerMillion);
        network.Time.Schedule(arrival - network.Time.Now, () => Arrive(frame));
    }

    private void Arrive(SimulatedFrame frame)
    {
        if (!Link.IsCut && _waiting.Count == 0)
        {
            receiver.Arrive(frame, Link);
            return;
        }

        if (Link.IsCut)
        {
            Observe(FrameFate.Partitioned, frame);
            if (Link.CutLoses && !frame.IsControl)
            {
                return;
            }

            Link.AwaitMending(this);
        }

        _waiting.Enqueue(frame);
    }

    private void Observe(FrameFate fate, SimulatedFrame frame) => network.Observer?.Frame(fate, Link.From, Link.To, frame.Bytes);
}
