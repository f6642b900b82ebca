using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using FtAkka.GuestKit;
using FtAkka.Recordings;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>
/// A Debian guest under load of all kinds for minutes or hours, recorded, then replayed by another process: every digest, every keyframe and every byte of the
/// console must be the same.
/// </summary>
public sealed partial class SoakTests(ITestOutputHelper log) : IDisposable
{
    private const string PeerAddress = "10.213.9.1", GuestAddress = "10.213.9.2";

    /// <summary>A minute of load makes about 60 G instructions.</summary>
    private const string DigestEvery = "500M", KeyframeEvery = "20G";

    private static readonly int LoadSeconds = SoakFactAttribute.LoadSeconds;

    /// <summary>Loaded machines are slow, and the guest's clock does not wait for them.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(LoadSeconds * 4);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [SoakFact]
    public async Task Stress_ng_fio_and_iperf3_recorded_replay_as_they_were()
    {
        string console = At("console");
        await RecordAsync(console);
        AssertLoad(File.ReadAllText(console));

        string replayed = await MonitorProcess.RunAsync(Patience, "replay", At("r"), "--verify", "--console", "--stats", At("replay.json"));

        Assert.Equal(File.ReadAllText(console), replayed);
        using JsonDocument stats = JsonDocument.Parse(File.ReadAllText(At("replay.json")));
        log.WriteLine(stats.RootElement.ToString());
        Assert.Equal("the machine ended as recorded", stats.RootElement.GetProperty("end").GetString());
        ulong icount = stats.RootElement.GetProperty("icount").GetUInt64();
        // One digest at each interval and one at the end.
        Assert.Equal((icount / 500_000_000) + 1, stats.RootElement.GetProperty("digestsChecked").GetUInt64());
        Assert.Equal(RecordingReader.Open(At("r")).Keyframes.Count - 1, stats.RootElement.GetProperty("keyframesCompared").GetInt32());
    }

    private string At(string name) => Path.Combine(folder.Path, name);

    private async Task RecordAsync(string console)
    {
        using (FileStream disk = File.Create(At("disk.img")))
        {
            disk.SetLength(256 << 20);
        }
        string socket = At("link");
        using MonitorProcess peer = MonitorProcess.Start(
        [
            "run", .. GuestProcess.Boot(Image("while :; do iperf3 -s -1 > /dev/null 2>&1; done"), "512M", $"ftakka.ip={PeerAddress}/24"),
            "--net", $"unix:{socket},mac=52:54:00:00:00:01,listen", "--console", "none",
        ]);
        await MonitorProcess.RunAsync(Patience,
        [
            "record", "-o", At("r"), .. GuestProcess.Boot(Image(Load()), "768M", $"ftakka.ip={GuestAddress}/24"), "--disk", At("disk.img"),
            "--net", $"unix:{socket},mac=52:54:00:00:00:02", "--console", $"file:{console}", "--digest-every", DigestEvery, "--keyframe-every", KeyframeEvery,
        ]);
    }

    private string Image(string script) => GuestImage.Write(folder.Path, GuestImage.Test, script, withProof: false);

    private static string Load()
    {
        using var reader = new StreamReader(typeof(SoakTests).Assembly.GetManifestResourceStream("soak.sh")!);
        return reader.ReadToEnd()
            .Replace("@LOAD@", LoadSeconds.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("@STEP@", Math.Clamp(LoadSeconds / 40, 2, 20).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("@PEER@", PeerAddress, StringComparison.Ordinal);
    }

    /// <summary>Each kind of load has run, and none of it has found anything wrong.</summary>
    private void AssertLoad(string console)
    {
        log.WriteLine(console);
        Match[] steps = Step().Matches(console).ToArray();
        Assert.All(steps, step => Assert.True(step.Groups["status"].Value == "0", console));
        foreach (string kind in new[] { "stress-ng", "fio", "iperf3", "e2fsck" })
        {
            Assert.Contains(steps, step => step.Groups["what"].Value.StartsWith(kind, StringComparison.Ordinal));
        }
        Assert.Contains("SOAK end", console, StringComparison.Ordinal);
        Assert.DoesNotMatch("Oops|kernel BUG|clocksource.*unstable", console);
    }

    [GeneratedRegex(@"^SOAK round \d+ at \d+: (?<what>.*) status (?<status>\d+)", RegexOptions.Multiline)]
    private static partial Regex Step();
}
