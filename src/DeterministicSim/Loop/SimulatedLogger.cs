using Akka.Event;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Writes log events into the trace at once, on the caller's thread. An ordinary logger is an actor that Akka starts by a blocking
/// wait, which would hold up the loop for seconds of real time.
/// </summary>
public sealed class SimulatedLogger : MinimalLogger
{
    /// <inheritdoc/>
    protected override void Log(object message)
    {
        if (SimulationLoop.CurrentOrNone is { } loop && message is LogEvent entry)
        {
            loop.WatchLog?.Invoke(entry);
            loop.Trace.Add($"log {entry.LogLevel()} {entry.LogSource}: {entry.Message}{(entry.Cause is { } cause ? " " + cause.GetType() : "")}");
        }
    }
}
