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
            string text = entry.Message.ToString() ?? "";
            string line = $"log {entry.LogLevel()} {ProcessWideNames.Without(entry.LogSource)}: {ProcessWideNames.Without(FirstLine(text))}";
            loop.Trace.Add(entry.Cause is { } cause ? $"{line} {cause.GetType()}" : line);
        }
    }

    /// <summary>Remoting puts exceptions into its lines, whose stack traces depend on what the compiler has inlined by then.</summary>
    private static string FirstLine(string text)
    {
        int end = text.AsSpan().IndexOfAny('\r', '\n');
        int stack = text.IndexOf("[   at ", StringComparison.Ordinal);
        end = stack >= 0 && (end < 0 || stack < end) ? stack : end;
        return end < 0 ? text : text[..end];
    }
}
