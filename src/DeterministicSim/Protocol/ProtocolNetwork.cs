using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Messages;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>The network between hosts. A direction keeps its order, as a connection does, unless a fault says otherwise.</summary>
internal sealed class ProtocolNetwork(ProtocolCluster cluster)
{
    private const int DelayLeast = 500;
    private const int DelayMost = 15_000;
    private const int LateMost = 200_000;
    private const int CodecOneIn = 32;

    private readonly SimulatedRandom _random = SimulatedRandom.Stream(cluster.Seed, "network");
    private readonly List<(string From, string To, FaultKind Kind)> _cuts = [];
    private readonly Dictionary<(string From, string To), long> _lastArrival = [];
    private readonly long[] _active = new long[Enum.GetValues<FaultKind>().Length];

    public void Cut(string from, string to, FaultKind kind) => _cuts.Add((from, to, kind));

    public void Mend(string from, string to, FaultKind kind) => _cuts.Remove((from, to, kind));

    /// <summary>A quality of the whole network changes by so much: per million, or ticks of delay.</summary>
    public void Change(FaultKind kind, long by) => _active[(int)kind] += by;

    public void Send(ProtocolHost from, string toName, IChannelMessage message)
    {
        cluster.Note(from.Name, TimelineKind.Message, message, toName);
        if (cluster.Find(toName) is not { } to || IsLost(from.Name, toName, message))
        {
            return;
        }
        if (_random.Below(CodecOneIn) == 0)
        {
            message = (IChannelMessage)WireMessageCodec.Decode(WireMessageCodec.ManifestOf(message), WireMessageCodec.Encode(message)).Message!;
        }
        Deliver(from, to, message);
        if (Strikes(FaultKind.FrameDuplication))
        {
            Deliver(from, to, message);
        }
    }

    private bool IsLost(string from, string to, IChannelMessage message)
    {
        foreach (var cut in _cuts)
        {
            if (cut.From == from && cut.To == to)
            {
                cluster.Effect(cut.Kind);
                return true;
            }
        }
        if (Strikes(FaultKind.FrameLoss))
        {
            return true;
        }
        if (!Strikes(FaultKind.FrameCorruption))
        {
            return false;
        }
        // The connection's checksum refuses it. Were it to pass, the codec must take it for a value, whatever it holds.
        byte[] bytes = WireMessageCodec.Encode(message);
        bytes[_random.Below(bytes.Length)] ^= (byte)(1 << _random.Below(8));
        _ = WireMessageCodec.Decode(WireMessageCodec.ManifestOf(message), bytes);
        return true;
    }

    private bool Strikes(FaultKind kind)
    {
        if (_active[(int)kind] == 0 || !_random.Chance((int)Math.Min(_active[(int)kind], 1_000_000)))
        {
            return false;
        }
        cluster.Effect(kind);
        return true;
    }

    private void Deliver(ProtocolHost from, ProtocolHost to, IChannelMessage message)
    {
        long delay = DelayLeast + _random.Below(DelayMost - DelayLeast);
        if (_active[(int)FaultKind.FrameDelay] is > 0 and var median)
        {
            delay += Late(median);
            cluster.Effect(FaultKind.FrameDelay);
        }
        bool overtaken = _active[(int)FaultKind.FrameReordering] > 0 && _random.Below(20) == 0;
        if (overtaken)
        {
            delay += _random.Below(LateMost);
            cluster.Effect(FaultKind.FrameReordering);
        }
        else
        {
            long earliest = _lastArrival.GetValueOrDefault((from.Name, to.Name)) + 1;
            delay = Math.Max(delay, earliest - cluster.Time);
            _lastArrival[(from.Name, to.Name)] = cluster.Time + delay;
        }
        string sender = from.Name;
        cluster.Schedule(to, delay, () => to.Receive(sender, message));
    }

    /// <summary>Half below the median, most below twice, one in fifty ten times it, one in a thousand a hundred times.</summary>
    private long Late(long median) => _random.Below(1000) switch
    {
        0 => median * 100,
        < 20 => median * 10,
        var at => median * at / 500,
    };
}
