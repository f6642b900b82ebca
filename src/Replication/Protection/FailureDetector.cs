namespace FtAkka.Replication.Protection;

/// <summary>What the failure detector is told.</summary>
public enum DetectorInput
{
    /// <summary>Time has passed.</summary>
    Tick,

    /// <summary>The peer's node sent a heartbeat.</summary>
    NodeHeard,

    /// <summary>The peer's replica said something on the log channel.</summary>
    ChannelHeard,
}

/// <summary>What the failure detector thinks of the peer.</summary>
public enum PeerHealth
{
    Alive,
    Suspect,
}

/// <summary>
/// Suspects a peer that neither beats nor talks for <see cref="ProtectionOptions.FailureTimeout"/>, or whose replica is silent for
/// <see cref="ProtectionOptions.ChannelTimeout"/> (the paper, 2.3). Suspicion is no proof: the arbiter decides. Pure.
/// </summary>
/// <remarks>
/// A process that was itself paused has heard nothing because it did not listen, so after a gap between its own steps it gives the
/// peer the full time anew. Silence of the log channel is thus never shorter than the timeout when this suspects, which the lease
/// of the primary rests on (<see cref="ProtectionOptions.LeasePromise"/>).
/// </remarks>
public sealed class FailureDetector
{
    private readonly ProtectionOptions _options;
    private Instant _step;
    private Instant _node;
    private Instant _channel;

    public FailureDetector(ProtectionOptions options, Instant now)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _step = _node = _channel = now;
    }

    /// <summary>What it thinks now.</summary>
    public PeerHealth Health { get; private set; }

    /// <summary>The peer's node, or its replica, was heard within <see cref="ProtectionOptions.FailureTimeout"/>.</summary>
    public bool NodeBeats { get; private set; } = true;

    /// <summary>When the peer's replica was last heard on the channel, or the time was given anew.</summary>
    public Instant LastHeard => _channel;

    /// <summary>Takes an input at <paramref name="now"/>.</summary>
    public PeerHealth Step(Instant now, DetectorInput input)
    {
        if (now - _step > _options.PauseGuard)
            (_node, _channel) = (Instant.Max(_node, now), Instant.Max(_channel, now));
        _step = Instant.Max(_step, now);
        switch (input)
        {
            case DetectorInput.NodeHeard:
                _node = now;
                break;
            case DetectorInput.ChannelHeard:
                _node = _channel = now;
                break;
            default:
                break;
        }
        NodeBeats = now - _node < _options.FailureTimeout || now - _channel < _options.FailureTimeout;
        return Health = !NodeBeats || now - _channel >= _options.ChannelTimeout ? PeerHealth.Suspect : PeerHealth.Alive;
    }
}
