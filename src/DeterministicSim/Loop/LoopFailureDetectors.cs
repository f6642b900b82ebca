using Akka.Configuration;
using Akka.Event;
using Akka.Remote;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Akka's detector of silent peers by deadline, with the time of the loop instead of the process's stopwatch.</summary>
public sealed class LoopDeadlineFailureDetector(Config config, EventStream eventStream) : DeadlineFailureDetector(
    config.GetTimeSpan("acceptable-heartbeat-pause"), config.GetTimeSpan("heartbeat-interval"), LoopClock.Of(eventStream));

/// <summary>Akka's detector of silent peers by suspicion, with the time of the loop instead of the process's stopwatch.</summary>
public sealed class LoopPhiAccrualFailureDetector(Config config, EventStream eventStream) : PhiAccrualFailureDetector(
    config.GetDouble("threshold"), config.GetInt("max-sample-size"), config.GetTimeSpan("min-std-deviation"),
    config.GetTimeSpan("acceptable-heartbeat-pause"), config.GetTimeSpan("expected-response-after"), LoopClock.Of(eventStream));

/// <summary>The clock of this thread's simulation as Akka's detectors ask for it.</summary>
internal static class LoopClock
{
    /// <summary>Milliseconds of virtual time.</summary>
    public static Clock Of(EventStream eventStream)
    {
        ArgumentNullException.ThrowIfNull(eventStream);
        var loop = SimulationLoop.Current;
        return () => (long)loop.Now.TotalMilliseconds;
    }
}
