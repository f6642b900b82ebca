using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>How often a node stood still since it began.</summary>
/// <param name="Count">How often.</param>
/// <param name="Longest">The longest time.</param>
public readonly record struct NodeGaps(long Count, TimeSpan Longest);

/// <summary>Finds the gaps in a node's own steps. Pure.</summary>
/// <param name="options">How often the node steps, and from which gap on it counts as a pause.</param>
internal sealed class StepGaps(ProtectionOptions options)
{
    /// <summary>A host that is starved for long fills no log.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    private TimeSpan? last;
    private TimeSpan? toldAt;
    private TimeSpan longestUntold;

    /// <summary>All gaps until now.</summary>
    public NodeGaps Seen { get; private set; }

    /// <summary>The node steps: when it begins, and then once in each interval of heartbeats.</summary>
    /// <param name="now">Monotonic clock.</param>
    /// <returns>The longest gap that has not been told of, if it is time to tell; otherwise null.</returns>
    public TimeSpan? Step(TimeSpan now)
    {
        TimeSpan gap = now - (last ?? now);
        last = now;
        if (gap < options.PauseGuard || gap < 2 * options.HeartbeatInterval)
        {
            return null;
        }
        Seen = new NodeGaps(Seen.Count + 1, Longer(Seen.Longest, gap));
        longestUntold = Longer(longestUntold, gap);
        if (toldAt is { } before && now - before < Quiet)
        {
            return null;
        }
        (TimeSpan told, toldAt, longestUntold) = (longestUntold, now, TimeSpan.Zero);
        return told;
    }

    private static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
