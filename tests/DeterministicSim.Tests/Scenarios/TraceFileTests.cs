using System.Xml.Linq;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Scenarios;

/// <summary>Traces: written and read again they are the same, and both pictures of them show what happened.</summary>
public sealed class TraceFileTests
{
    private static readonly Scenario Story = ScenarioLibrary.Get("primary-dies");

    private static TraceFile Trace() =>
        TraceFile.Of(Story, new ProtocolRunner().Run(Story, 7, new RunOptions { KeepTimeline = true }), "protocol", mutation: null);

    [Fact]
    public void Written_trace_reads_back_as_the_same()
    {
        TraceFile trace = Trace();
        var text = new StringWriter();
        trace.Write(text);
        TraceFile again = TraceFile.Read(new StringReader(text.ToString()), "t");
        Assert.Equal(trace.Events.ToArray(), again.Events.ToArray());
        Assert.Equal(trace.Header.Report.TraceHash, again.Header.Report.TraceHash);
        Assert.Equal(trace.Header.Report.Plan.ToArray(), again.Header.Report.Plan.ToArray());
        Assert.Equal(trace.Header.Report.Effects.ToArray(), again.Header.Report.Effects.ToArray());
        Assert.Equal(Story.Faults.ToArray(), ScenarioParser.Parse(again.Header.ScenarioText, "t").Faults.ToArray());
    }

    [Fact]
    public void Last_line_that_was_cut_off_is_dropped()
    {
        var text = new StringWriter();
        Trace().Write(text);
        string whole = text.ToString();
        Assert.Equal(Trace().Events.Length - 1, TraceFile.Read(new StringReader(whole[..^10]), "t").Events.Length);
    }

    [Theory]
    [InlineData("", "t:1: no line of a trace")]
    [InlineData("hello", "t:1: no line of a trace")]
    public void File_that_is_no_trace_is_refused(string text, string message) =>
        Assert.StartsWith(message, Assert.Throws<ScenarioException>(() => TraceFile.Read(new StringReader(text), "t")).Message, StringComparison.Ordinal);

    [Fact]
    public void Text_shows_roles_faults_and_moments_in_their_lanes()
    {
        TraceFile trace = Trace();
        var text = new StringWriter();
        TimelineText.Write(text, trace.Header.Hosts, trace.Events, TimelineView.Whole);
        string[] lines = text.ToString().Split('\n');
        string crash = Assert.Single(lines, line => line.Contains("! host-crash at 4s on A", StringComparison.Ordinal));
        string live = Assert.Single(lines, line => line.Contains("# live, generation 2", StringComparison.Ordinal));
        Assert.True(live.IndexOf('#', StringComparison.Ordinal) > crash.IndexOf('!', StringComparison.Ordinal), "B's lane is right of A's");
        Assert.Contains(lines, line => line.Contains("* reissue", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains("messages,", StringComparison.Ordinal));
    }

    [Fact]
    public void Text_shows_messages_as_arrows_when_asked()
    {
        TraceFile trace = Trace();
        var text = new StringWriter();
        TimelineText.Write(text, trace.Header.Hosts, trace.Events, TimelineView.Whole with { Messages = true, To = TimeSpan.FromSeconds(2) });
        Assert.Contains("clone offer (generation 1", text.ToString(), StringComparison.Ordinal);
        Assert.Matches(@"clone offer[^\n]*-+>", text.ToString());
        Assert.Matches(@"<-+ clone accepted", text.ToString());
    }

    /// <summary>The page is well-formed and asks nobody for anything: it can be mailed, and opened without a network.</summary>
    [Fact]
    public void Page_is_well_formed_and_self_contained()
    {
        var page = new StringWriter();
        TimelineHtml.Write(page, Trace());
        string html = page.ToString();
        Assert.DoesNotContain("http", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("src=", html, StringComparison.OrdinalIgnoreCase);
        string rows = html[html.IndexOf("<div class=\"rows\">", StringComparison.Ordinal)..html.IndexOf("</body>", StringComparison.Ordinal)];
        XElement tree = XElement.Parse(rows);
        Assert.Equal(Trace().Events.Length, tree.Elements("div").Count(row => ((string?)row.Attribute("class"))?.StartsWith("row", StringComparison.Ordinal) == true));
        Assert.Contains(tree.Descendants("title"), title => title.Value == "host-crash at 4s on A");
    }
}
