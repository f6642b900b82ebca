using System.Globalization;
using System.Text;
using System.Text.Json;
using FtAkka.GuestKit;
using FtAkka.Machine.Events;
using FtAkka.Recordings;
using FtAkka.Recordings.Tests;
using FtAkka.Replication.Log;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>A Debian boot with a session of console input, disk and network, recorded by one process and replayed by many others.</summary>
public sealed class LinuxRecordingTests(ITestOutputHelper log) : IDisposable
{
    private const string Session =
        "dd if=/dev/vda bs=4k count=64 2>/dev/null | sha256sum; dd if=/dev/urandom of=/dev/vda bs=4k count=16 seek=100 conv=fsync 2>&1; "
        + "ping -c 3 -i 0.2 10.0.0.1; echo typed-text-please; read line; echo heard $line; cat /proc/interrupts";

    private const ulong DigestEvery = 50_000_000, KeyframeEvery = 300_000_000;
    private const int Replays = 10;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private int replays;

    public void Dispose() => folder.Dispose();

    /// <summary>
    /// Ten replays from the start, half of them with extra stops, and one from each keyframe. The verb itself fails at the first digest or keyframe that differs.
    /// </summary>
    [LinuxFact]
    public async Task Session_replays_as_it_was_ten_times_and_from_each_keyframe()
    {
        string printed = await RecordAsync();
        Assert.Contains("heard what was typed", printed, StringComparison.Ordinal);
        Assert.Contains("3 packets received", printed, StringComparison.Ordinal);
        RecordingReader recording = RecordingReader.Open(At("r"));
        List<LogEntry> entries = TinyRecording.Entries(recording);
        Assert.True(entries.Count(entry => entry.Payload is InputPayload { Input: NetReceive }) >= 4);
        Assert.True(entries.Count(entry => entry.Payload is InputPayload { Input: DiskCompleted }) >= 4);
        Assert.Contains(entries, entry => entry.Payload is InputPayload { Input: ConsoleInput });
        log.WriteLine($"{entries[^1].Icount} instructions, {entries.Count} entries, {recording.Keyframes.Count} keyframes");
        Assert.True(recording.Keyframes.Count > 3);

        string? finalState = null;
        for (int seed = 0; seed < Replays; seed++)
        {
            // Every second one stops at random instructions.
            string[] stops = seed % 2 == 0 ? [] : ["--extra-stops", seed.ToString(CultureInfo.InvariantCulture)];
            Replayed replayed = await ReplayAsync(recording.Keyframes[0], stops);
            Assert.Equal(printed, replayed.Console);
            Assert.Equal((entries[^1].Icount / DigestEvery) + 1, replayed.Digests);
            Assert.Equal(recording.Keyframes.Count - 1, replayed.KeyframesCompared);
            Assert.Equal(finalState ??= replayed.FinalState, replayed.FinalState);
        }
        foreach (Keyframe keyframe in recording.Keyframes.Skip(1))
        {
            Replayed replayed = await ReplayAsync(keyframe, ["--from", keyframe.Icount.ToString(CultureInfo.InvariantCulture)]);
            Assert.EndsWith(replayed.Console, printed, StringComparison.Ordinal);
            Assert.Equal((entries[^1].Icount / DigestEvery) - (keyframe.Icount / DigestEvery) + 1, replayed.Digests);
            Assert.Equal(finalState, replayed.FinalState);
        }
    }

    private string At(string name) => Path.Combine(folder.Path, name);

    private async Task<string> RecordAsync()
    {
        await File.WriteAllBytesAsync(At("disk.img"), [.. Enumerable.Range(0, 4 << 20).Select(i => (byte)(i * 31 >> 7))]);
        await using var peer = new NetPeer(At("link"));
        using MonitorProcess recorder = MonitorProcess.Start(
            "record", "-o", At("r"), "--kernel", GuestFolder.Default.PreferredKernel!, "--initrd", GuestFolder.Default.Initramfs(), "--memory", "256M",
            "--append", "ftakka.ip=10.0.0.2/24 ftakka.run64=" + Convert.ToBase64String(Encoding.ASCII.GetBytes(Session)),
            "--disk", At("disk.img"), "--net", "unix:" + At("link"),
            "--digest-every", DigestEvery.ToString(CultureInfo.InvariantCulture), "--keyframe-every", KeyframeEvery.ToString(CultureInfo.InvariantCulture));
        await recorder.WaitForAsync("typed-text-please", Patience);
        await recorder.TypeAsync("what was typed\n");
        string printed = await recorder.EndWellAsync(Patience);
        // A replay needs neither.
        File.Delete(At("disk.img"));
        File.Delete(At("link"));
        return printed;
    }

    private sealed record Replayed(string Console, ulong Digests, int KeyframesCompared, string FinalState);

    private async Task<Replayed> ReplayAsync(Keyframe start, string[] options)
    {
        string file = At($"replay-{++replays}.json");
        string console = await MonitorProcess.RunAsync(Patience, ["replay", At("r"), "--verify", "--console", "--full-digest", "--stats", file, .. options]);
        using JsonDocument stats = JsonDocument.Parse(await File.ReadAllTextAsync(file));
        Assert.Equal("the machine ended as recorded", stats.RootElement.GetProperty("end").GetString());
        string finalState = stats.RootElement.GetProperty("fullDigest").GetString()!;
        // The digest is the last line of the output, behind the guest's own.
        int digestLine = console.LastIndexOf("icount ", StringComparison.Ordinal);
        Assert.True(digestLine >= 0, console);
        var replayed = new Replayed(
            console[..digestLine], stats.RootElement.GetProperty("digestsChecked").GetUInt64(), stats.RootElement.GetProperty("keyframesCompared").GetInt32(), finalState);
        log.WriteLine($"from {start.Icount} {string.Join(' ', options)}: {replayed.Digests} digests and {replayed.KeyframesCompared} keyframes equal, {finalState}");
        return replayed;
    }
}
