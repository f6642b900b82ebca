using System.Globalization;
using System.Net;
using System.Text;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>
/// A trace as one self-contained HTML page: inline SVG, a lane for each host, a row for each event; boxes to hide messages, outputs and log lines. No
/// script, no resource from elsewhere.
/// </summary>
public static class TimelineHtml
{
    private const int RowHeight = 18;
    private const int LaneWidth = 300;
    private const int TimeWidth = 90;
    private const int RowsMost = 20_000;
    private const int TextMost = 46;

    private const string Style = """
        body { font: 13px sans-serif; margin: 1.5em; color: #222; background: #fff }
        h1 { font-size: 18px } pre { background: #f5f5f5; padding: .8em; overflow-x: auto }
        table { border-collapse: collapse } td, th { padding: .1em .8em; text-align: left; border-bottom: 1px solid #ddd }
        .bad { color: #b00020; font-weight: bold }
        .row { display: block; height: 18px; position: relative; white-space: nowrap }
        svg { display: block } text { font: 11px monospace; fill: #222 }
        .t { fill: #888 } .lane { stroke: #ccc } .role { stroke: #1565c0; stroke-width: 6 } .gone { stroke: #bbb; stroke-width: 1 }
        .fault text.e { fill: #b00020; font-weight: bold } .violation text.e { fill: #fff } .violation rect { fill: #b00020 }
        .moment text.e { fill: #7b1fa2 } .operator text.e { fill: #00695c } .log text.e { fill: #666 } .outside text.e { fill: #2e7d32 }
        .role-row text.e { fill: #1565c0; font-weight: bold }
        .message line { stroke: #999 } .message text.e { fill: #777 }
        #m:not(:checked) ~ .rows .message, #o:not(:checked) ~ .rows .outside, #l:not(:checked) ~ .rows .log { display: none }
        .head { position: sticky; top: 0; background: #fff; border-bottom: 1px solid #888 }
        """;

    /// <summary>Writes the page.</summary>
    public static void Write(TextWriter output, TraceFile trace)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(trace);
        TraceHeader header = trace.Header;
        string title = string.Create(CultureInfo.InvariantCulture, $"{header.Report.Scenario}, seed {header.Report.Seed} ({header.Runner})");
        output.WriteLine($"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{Text(title)}</title>\n<style>\n{Style}\n</style></head><body>");
        output.WriteLine($"<h1>{Text(title)}</h1>");
        WriteSummary(output, header);
        output.WriteLine("""
            <input type="checkbox" id="m" checked><label for="m"> messages</label>
            <input type="checkbox" id="o"><label for="o"> outputs</label>
            <input type="checkbox" id="l" checked><label for="l"> log</label>
            <div class="rows">
            """);
        WriteHead(output, header.Hosts);
        int shown = Math.Min(trace.Events.Length, RowsMost);
        var lanes = new bool[header.Hosts.Length];
        foreach (TimelineEvent one in trace.Events[..shown])
        {
            WriteRow(output, header.Hosts, one, lanes);
        }
        output.WriteLine("</div>");
        if (shown < trace.Events.Length)
        {
            output.WriteLine($"<p class=\"bad\">{trace.Events.Length - shown} later events are not shown; 'sim show' prints them as text.</p>");
        }
        output.WriteLine("</body></html>");
    }

    private static void WriteSummary(TextWriter output, TraceHeader header)
    {
        SimulationReport report = header.Report;
        output.WriteLine(report.Violation is { } violation
            ? $"<p class=\"bad\">{Text(violation.Invariant)} violated at {Seconds(violation.At)} s: {Text(violation.Detail)}</p>"
            : $"<p>Every invariant held over {Seconds(report.VirtualTime)} s of virtual time; {report.Generations} generations.</p>");
        output.WriteLine("<details><summary>Scenario and faults</summary><pre>" + Text(header.ScenarioText) + "</pre><pre>"
            + Text(string.Join('\n', report.Plan.Select(Scenarios.ScenarioPrinter.Print))) + "</pre></details>");
        output.WriteLine("<details><summary>Effects and moments</summary><table><tr><th>fault</th><th>took effect</th></tr>");
        foreach (var (kind, count) in report.Effects)
        {
            output.WriteLine($"<tr><td>{Scenarios.ScenarioNames.Of(kind)}</td><td>{count}</td></tr>");
        }
        output.WriteLine("<tr><th>moment</th><th>reached (crashed there)</th></tr>");
        foreach (var (moment, count) in report.MomentsReached)
        {
            output.WriteLine($"<tr><td>{Scenarios.ScenarioNames.Of(moment)}</td><td>{count} ({report.CrashedAt.GetValueOrDefault(moment)})</td></tr>");
        }
        output.WriteLine("</table></details>");
    }

    private static void WriteHead(TextWriter output, IReadOnlyList<string> hosts)
    {
        output.Write($"<div class=\"head\"><svg width=\"{Width(hosts)}\" height=\"{RowHeight}\"><text x=\"4\" y=\"13\" class=\"t\">seconds</text>");
        for (int i = 0; i < hosts.Count; i++)
        {
            output.Write($"<text x=\"{X(i) - 4}\" y=\"13\" font-weight=\"bold\">{Text(hosts[i])}</text>");
        }
        output.WriteLine("</svg></div>");
    }

    private static void WriteRow(TextWriter output, IReadOnlyList<string> hosts, TimelineEvent one, bool[] lanes)
    {
        int lane = Lane(hosts, one.Host), to = one.To is null ? -1 : Lane(hosts, one.To);
        if (one.Kind == TimelineKind.Role && lane >= 0)
        {
            lanes[lane] = !one.Text.StartsWith("halted", StringComparison.OrdinalIgnoreCase);
        }
        var row = new StringBuilder();
        string kind = one.Kind == TimelineKind.Role ? "role-row" : Scenarios.ScenarioNames.Of(one.Kind);
        row.Append(CultureInfo.InvariantCulture, $"<div class=\"row {kind}\"><svg width=\"{Width(hosts)}\" height=\"{RowHeight}\"><title>{Text(one.Text)}</title>");
        row.Append(CultureInfo.InvariantCulture, $"<text x=\"4\" y=\"13\" class=\"t\">{Seconds(one.At)}</text>");
        for (int i = 0; i < hosts.Count; i++)
        {
            row.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(i)}\" x2=\"{X(i)}\" y1=\"0\" y2=\"{RowHeight}\" class=\"lane{(lanes[i] ? " role" : "")}\"/>");
        }
        if (one.Kind == TimelineKind.Message && lane >= 0 && to >= 0 && to != lane)
        {
            AppendArrow(row, lane, to);
        }
        int x = lane < 0 ? TimeWidth : X(one.Kind == TimelineKind.Message && to >= 0 ? Math.Min(lane, to) : lane) + 10;
        string text = one.Text.Length > TextMost && lane >= 0 && one.Kind == TimelineKind.Message ? one.Text[..TextMost] : one.Text;
        string beside = one.Kind != TimelineKind.Message && one.To is not null ? $" ({one.To})" : "";
        if (one.Kind == TimelineKind.Violation)
        {
            row.Append(CultureInfo.InvariantCulture, $"<rect x=\"{TimeWidth - 4}\" y=\"1\" width=\"{Width(hosts) - TimeWidth}\" height=\"16\"/>");
        }
        row.Append(CultureInfo.InvariantCulture, $"<text x=\"{x}\" y=\"{(one.Kind == TimelineKind.Message ? 9 : 13)}\" class=\"e\">{Text(text + beside)}</text></svg></div>");
        output.WriteLine(row);
    }

    private static void AppendArrow(StringBuilder row, int from, int to)
    {
        int tip = to > from ? -6 : 6;
        row.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(from)}\" x2=\"{X(to)}\" y1=\"13\" y2=\"13\"/>");
        row.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(to)}\" x2=\"{X(to) + tip}\" y1=\"13\" y2=\"10\"/><line x1=\"{X(to)}\" x2=\"{X(to) + tip}\" y1=\"13\" y2=\"16\"/>");
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

    private static int X(int lane) => TimeWidth + 10 + (lane * LaneWidth);

    private static int Width(IReadOnlyList<string> hosts) => TimeWidth + (hosts.Count * LaneWidth) + 20;

    private static string Seconds(TimeSpan at) => at.TotalSeconds.ToString("F4", CultureInfo.InvariantCulture);

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
