using System.Diagnostics;
using Akka.Event;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>Log lines that others can cause, at most 20 in ten seconds, so that nobody can fill the log from outside.</summary>
internal sealed class LimitedLog(ILoggingAdapter log)
{
    private const int LinesPerWindow = 20;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);
    private readonly Lock _gate = new();
    private long _windowStart;
    private int _lines;

    public void Warn(string text) => Write(LogLevel.WarningLevel, text);

    public void Info(string text) => Write(LogLevel.InfoLevel, text);

    private void Write(LogLevel level, string text)
    {
        if (!log.IsEnabled(level))
        {
            return;
        }

        var suppressed = 0;
        lock (_gate)
        {
            if (_windowStart == 0 || Stopwatch.GetElapsedTime(_windowStart) > Window)
            {
                suppressed = Math.Max(0, _lines - LinesPerWindow);
                _windowStart = Stopwatch.GetTimestamp();
                _lines = 0;
            }

            if (++_lines > LinesPerWindow)
            {
                return;
            }
        }

        log.Log(level, suppressed == 0 ? text : $"{text} ({suppressed} lines before it were left out)");
    }
}
