using System.Text.RegularExpressions;
using Akka.Event;

namespace Akka.TestKit;

/// <summary>Builds expectations on log events. All given conditions must hold; a condition left out holds always.</summary>
public sealed class EventFilterFactory
{
    private readonly TestKitBase testKit;

    internal EventFilterFactory(TestKitBase testKit) => this.testKit = testKit;

    /// <summary>Errors logged with an exception of type <typeparamref name="TException"/> (or derived from it).</summary>
    public EventFilterApplier Exception<TException>(string? message = null, string? start = null, string? contains = null, string? source = null)
        where TException : Exception => Exception(typeof(TException), message, start, contains, source);

    /// <inheritdoc cref="Exception{TException}(string?, string?, string?, string?)"/>
    public EventFilterApplier Exception(Type exceptionType, string? message = null, string? start = null, string? contains = null, string? source = null)
    {
        bool Matches(LogEvent entry) =>
            entry is Error error && exceptionType.IsInstanceOfType(error.Cause)
            && (TextMatches($"{error.Message}", message, start, contains) || TextMatches(error.Cause.Message, message, start, contains))
            && SourceMatches(entry, source);
        return new EventFilterApplier(testKit, Matches, $"error with {exceptionType.Name}");
    }

    /// <summary>Events of level error.</summary>
    public EventFilterApplier Error(string? message = null, string? start = null, string? contains = null, string? source = null) =>
        OfLevel<Error>(message, start, contains, source);

    /// <summary>Events of level error whose text matches <paramref name="pattern"/>.</summary>
    public EventFilterApplier Error(Regex pattern, string? source = null) => OfLevel<Error>(pattern, source);

    /// <summary>Events of level warning.</summary>
    public EventFilterApplier Warning(string? message = null, string? start = null, string? contains = null, string? source = null) =>
        OfLevel<Warning>(message, start, contains, source);

    /// <summary>Events of level warning whose text matches <paramref name="pattern"/>.</summary>
    public EventFilterApplier Warning(Regex pattern, string? source = null) => OfLevel<Warning>(pattern, source);

    /// <summary>Events of level info.</summary>
    public EventFilterApplier Info(string? message = null, string? start = null, string? contains = null, string? source = null) =>
        OfLevel<Info>(message, start, contains, source);

    /// <summary>Events of level info whose text matches <paramref name="pattern"/>.</summary>
    public EventFilterApplier Info(Regex pattern, string? source = null) => OfLevel<Info>(pattern, source);

    /// <summary>Events of level debug.</summary>
    public EventFilterApplier Debug(string? message = null, string? start = null, string? contains = null, string? source = null) =>
        OfLevel<Debug>(message, start, contains, source);

    private EventFilterApplier OfLevel<TLevel>(string? message, string? start, string? contains, string? source)
        where TLevel : LogEvent
    {
        bool Matches(LogEvent entry) => entry is TLevel && TextMatches($"{entry.Message}", message, start, contains) && SourceMatches(entry, source);
        return new EventFilterApplier(testKit, Matches, $"{typeof(TLevel).Name} {message}{start}{contains}");
    }

    private EventFilterApplier OfLevel<TLevel>(Regex pattern, string? source)
        where TLevel : LogEvent
    {
        bool Matches(LogEvent entry) => entry is TLevel && pattern.IsMatch($"{entry.Message}") && SourceMatches(entry, source);
        return new EventFilterApplier(testKit, Matches, $"{typeof(TLevel).Name} {pattern}");
    }

    private static bool TextMatches(string text, string? message, string? start, string? contains) =>
        (message is null || text == message)
        && (start is null || text.StartsWith(start, StringComparison.Ordinal))
        && (contains is null || text.Contains(contains, StringComparison.Ordinal));

    private static bool SourceMatches(LogEvent entry, string? source) => source is null || entry.LogSource == source;
}
