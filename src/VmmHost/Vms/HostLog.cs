using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Akka.Actor.Setup;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Vms;

/// <summary>How a process writes its log.</summary>
public enum LogFormat
{
    /// <summary>A line for people.</summary>
    Text,

    /// <summary>A JSON document per line, for programs.</summary>
    Json,
}

/// <summary>Gives an actor system the process's loggers; without it <see cref="StandardErrorLogger"/> writes text.</summary>
public sealed class HostLogSetup(ILoggerFactory loggers) : Setup
{
    /// <summary>Where the system's log goes.</summary>
    public ILoggerFactory Loggers { get; } = loggers;
}

/// <summary>
/// The log on standard error, since standard output belongs to the guest's console, or to a verb's result. Written at once on the logging
/// thread: what a node said before it died is there.
/// </summary>
public sealed class HostLog(LogFormat format, TextWriter output) : ILoggerProvider
{
    /// <summary>Read by programs and people, never put into a web page.</summary>
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Lock sync = new();

    /// <summary>Loggers of this format on standard error. Levels are Akka's affair (<c>akka.loglevel</c>); nothing is filtered here.</summary>
    public static ILoggerFactory OnStandardError(LogFormat format) =>
        LoggerFactory.Create(build => build.SetMinimumLevel(LogLevel.Trace).AddProvider(new HostLog(format, Console.Error)));

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new Source(this, categoryName);

    /// <summary>The writer is not ours.</summary>
    public void Dispose()
    {
    }

    private void Write(string line)
    {
        lock (sync)
        {
            output.WriteLine(line);
        }
    }

    private sealed class Source(HostLog log, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Write(log.IsJson ? Json(logLevel, state, exception, formatter(state, exception)) : Text(logLevel, exception, formatter(state, exception)));

        private string Text(LogLevel level, Exception? exception, string message)
        {
            string word = level switch { LogLevel.Information => "info", LogLevel.Critical => "error", var other => other.ToString().ToLowerInvariant() };
            return $"ftakka: {word}: {message} [{name}]{(exception is null ? "" : Environment.NewLine + exception)}";
        }

        private string Json<TState>(LogLevel level, TState state, Exception? exception, string message)
        {
            using var bytes = new MemoryStream();
            using (var json = new Utf8JsonWriter(bytes, Writing))
            {
                json.WriteStartObject();
                json.WriteString("time", DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
                json.WriteString("level", level.ToString().ToLowerInvariant());
                json.WriteString("source", name);
                json.WriteString("message", message);
                if (state is IReadOnlyList<KeyValuePair<string, object?>> values)
                {
                    foreach ((string key, object? value) in values)
                    {
                        json.WriteString(key == "{OriginalFormat}" ? "format" : key, Convert.ToString(value, CultureInfo.InvariantCulture));
                    }
                }
                if (exception is not null)
                {
                    json.WriteString("exception", exception.ToString());
                }
                json.WriteEndObject();
            }
            return Encoding.UTF8.GetString(bytes.ToArray());
        }
    }

    private bool IsJson => format == LogFormat.Json;
}
