using System.Collections.Immutable;
using System.Globalization;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>What of a time line is shown.</summary>
/// <param name="From">Virtual time of the first event.</param>
/// <param name="To">Virtual time of the last.</param>
/// <param name="Messages">Messages between hosts, one by one; otherwise only how many there were.</param>
/// <param name="Outside">What left for the outside, one by one; otherwise only how much.</param>
public sealed record TimelineView(TimeSpan From, TimeSpan To, bool Messages, bool Outside)
{
    /// <summary>Everything but messages and outputs, from beginning to end.</summary>
    public static TimelineView Whole { get; } = new(TimeSpan.Zero, TimeSpan.MaxValue, Messages: false, Outside: false);

    /// <summary>Whether an event is shown by itself.</summary>
    public bool Shows(TimelineEvent one)
    {
        ArgumentNullException.ThrowIfNull(one);
        return one.Kind switch
        {
            TimelineKind.Message => Messages,
            TimelineKind.Outside => Outside,
            _ => true,
        };
    }
}

/// <summary>A time line as text: a column for each host, an event to a line, arrows for messages.</summary>
public static class TimelineText
{
    private const int LaneWidth = 34;
    private const int TimeWidth = 11;

    /// <summary>Writes the lanes.</summary>
    public static void Write(TextWriter output, IReadOnlyList<string> hosts, IEnumerable<TimelineEvent> events, TimelineView view)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(hosts);
        ArgumentNullException.ThrowIfNull(events);
        ArgumentNullException.ThrowIfNull(view);
        output.WriteLine((new string(' ', TimeWidth) + string.Concat(hosts.Select(host => host.PadRight(LaneWidth)))).TrimEnd());
        int messages = 0, outside = 0;
        foreach (TimelineEvent one in events.Where(one => one.At >= view.From && one.At <= view.To))
        {
            if (!view.Shows(one))
            {
                messages += one.Kind == TimelineKind.Message ? 1 : 0;
                outside += one.Kind == TimelineKind.Outside ? 1 : 0;
                continue;
            }
            WriteHidden(output, ref messages, ref outside);
            output.WriteLine(Line(hosts, one));
        }
        WriteHidden(output, ref messages, ref outside);
    }

    /// <summary>One event, as a line with its host's name: for a few events out of many.</summary>
    public static string Plain(TimelineEvent one)
    {
        ArgumentNullException.ThrowIfNull(one);
        string who = one.Host.Length == 0 ? "-" : one.To is null ? one.Host : $"{one.Host} -> {one.To}";
        return $"{Time(one.At)} {who,-8} {Sign(one.Kind)} {one.Text}";
    }

    private static void WriteHidden(TextWriter output, ref int messages, ref int outside)
    {
        if (messages + outside > 0)
        {
            output.WriteLine($"{new string(' ', TimeWidth)}... {messages} messages, {outside} outputs");
        }
        (messages, outside) = (0, 0);
    }

    private static string Line(IReadOnlyList<string> hosts, TimelineEvent one)
    {
        int lane = Lane(hosts, one.Host);
        if (lane < 0)
        {
            return $"{Time(one.At)} === {one.Text}";
        }
        if (one.Kind == TimelineKind.Message && one.To is not null && Lane(hosts, one.To) is >= 0 and var to && to != lane)
        {
            return Time(one.At) + Arrow(lane, to, one.Text);
        }
        string text = $"{Sign(one.Kind)} {one.Text}{(one.To is null ? "" : $" ({one.To})")}";
        return $"{Time(one.At)}{new string(' ', lane * LaneWidth)} {text}";
    }

    private static string Arrow(int from, int to, string text)
    {
        int left = Math.Min(from, to) * LaneWidth, width = Math.Abs(to - from) * LaneWidth;
        string label = text.Length > width - 4 ? text[..(width - 4)] : text;
        string line = (from < to ? $"{label} ".PadRight(width - 1, '-') + ">" : "<" + $" {label}".PadLeft(width - 1, '-')).PadRight(width);
        return new string(' ', left + 1) + line;
    }

    private static int Lane(IReadOnlyList<string> hosts, string host)
    {
        for (int i = 0; i < hosts.Count; i++)
        {
            if (hosts[i] == host)
            {
                return i;
            }
        }
        return -1;
    }

    private static string Sign(TimelineKind kind) => kind switch
    {
        TimelineKind.Role => "#",
        TimelineKind.Fault => "!",
        TimelineKind.Moment => "*",
        TimelineKind.Outside => ">",
        TimelineKind.Operator => "@",
        TimelineKind.Violation => "VIOLATION",
        _ => "-",
    };

    private static string Time(TimeSpan at) => at.TotalSeconds.ToString("F4", CultureInfo.InvariantCulture).PadLeft(TimeWidth - 1);
}
