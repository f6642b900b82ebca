namespace FtAkka.DeterministicSim.Network;

/// <summary>The virtual time in which a <see cref="SimulatedNetwork"/> delivers. Everything happens on one thread.</summary>
public interface ISimulatedTime
{
    /// <summary>Time since the beginning of the run.</summary>
    TimeSpan Now { get; }

    /// <summary>Runs an action later; actions due at the same time run in the order in which they were scheduled.</summary>
    void Schedule(TimeSpan delay, Action action);
}
