namespace FtAkka.DeterministicSim.Network;

/// <summary>One direction between two hosts: its quality, and whether it is cut.</summary>
internal sealed class SimulatedLink(SimulatedNetwork network, string from, string to)
{
    private readonly List<SimulatedPipe> _waiting = [];
    private LinkQuality? _quality;
    private TimeSpan _cutSince;

    public string From { get; } = from;

    public string To { get; } = to;

    /// <summary>Set for this direction, or the network's default.</summary>
    public LinkQuality Quality
    {
        get => _quality ?? network.DefaultQuality;
        set => _quality = value;
    }

    public bool IsCut { get; private set; }

    /// <summary>Counts cuts.</summary>
    public long Cuts { get; private set; }

    /// <summary>While this cut lasts, messages are lost and not only late.</summary>
    public bool CutLoses { get; private set; }

    public void Cut()
    {
        if (!IsCut)
        {
            IsCut = true;
            Cuts++;
            CutLoses = network.Random.Chance(network.CutLosesPerMillion);
            _cutSince = network.Time.Now;
            network.FallsSilent(this);
        }
    }

    /// <summary>What waits is sent again: soon after a short cut, later after a long one, as by timers that double.</summary>
    public void Mend()
    {
        if (!IsCut)
        {
            return;
        }

        IsCut = false;
        var lasted = network.Time.Now - _cutSince;
        foreach (var pipe in _waiting)
        {
            network.Time.Schedule(network.Random.Between(Quality.DelayLeast, lasted < network.ResendMost ? lasted : network.ResendMost), pipe.SendAgain);
        }

        _waiting.Clear();
    }

    /// <summary>A pipe has frames that wait until the link is mended.</summary>
    public void AwaitMending(SimulatedPipe pipe)
    {
        if (!_waiting.Contains(pipe))
        {
            _waiting.Add(pipe);
        }
    }

    /// <summary>How long a frame is under way.</summary>
    public TimeSpan UnderWay(out bool late)
    {
        var quality = Quality;
        var delay = network.Random.Between(quality.DelayLeast, quality.DelayMost);
        late = network.Random.Chance(quality.TailPerMillion);
        if (!late)
        {
            return delay;
        }

        var most = quality.DelayMost;
        do
        {
            most += most;
        }
        while (most < quality.TailMost && network.Random.Below(2) == 0);
        return network.Random.Between(quality.DelayMost, most < quality.TailMost ? most : quality.TailMost);
    }
}
