using System.Text.Json;
using FtAkka.GuestKit;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Recordings;
using FtAkka.Recordings.Tests;
using FtAkka.TinyGuests;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>A log many times longer than the memory of the process that reads it. With FTAKKA_LONG_TESTS=1: of four gigabytes.</summary>
public sealed class LongLogTests : IDisposable
{
    private const int FrameBytes = 60_000;

    /// <summary>Managed heap of the reading process; when it is spent, the process dies.</summary>
    private const long HeapBytes = 96 << 20;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Log_longer_than_memory_is_shown_sought_and_replayed()
    {
        long bytes = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1" ? 4L << 30 : 400 << 20;
        string recording = Path.Combine(folder.Path, "r");
        ulong middle = Record(recording, bytes);
        Assert.True(new FileInfo(Path.Combine(recording, "log.ftlog")).Length > bytes);

        using JsonDocument summary = JsonDocument.Parse(await RunAsync("log", "show", recording, "--json", "--summary"));
        JsonElement frames = summary.RootElement.GetProperty("summary").GetProperty("kinds").EnumerateArray()
            .Single(kind => kind.GetProperty("kind").GetString() == "netReceive");
        Assert.Equal(bytes / FrameBytes, frames.GetProperty("entries").GetInt64());

        string stats = Path.Combine(folder.Path, "stats.json");
        await RunAsync("replay", recording, "--verify", "--stats", stats);
        await RunAsync("replay", recording, "--from", $"{middle}", "--to", $"{middle + 1000}");
        using JsonDocument replayed = JsonDocument.Parse(await File.ReadAllTextAsync(stats));
        Assert.True(replayed.RootElement.GetProperty("digestsChecked").GetInt32() > 1);
        Assert.True(replayed.RootElement.GetProperty("keyframesCompared").GetInt32() > 1);
    }

    private static Task<string> RunAsync(params string[] arguments) =>
        MonitorProcess.RunAsync(Patience, [("DOTNET_GCHeapHardLimit", $"{HeapBytes:x}")], arguments);

    /// <summary>A guest that computes while frames arrive for which it has no driver. Returns an icount amid them.</summary>
    private static ulong Record(string recording, long bytes)
    {
        var config = new MachineConfig { MemoryBytes = 16 << 20, CommandLine = "workload=compute rounds=1000", Nics = [new NetOptions { Mac = TinyRecording.GuestMac }] };
        using var machine = new GuestMachine(config);
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        using RecordingWriter writer = RecordingWriter.Create(recording, TinyRecording.Manifest(config), RecordingSync.Never);
        using var runner = new RecordingRunner(machine, writer, TinyRecording.DigestEvery, TinyRecording.KeyframeEvery);
        var random = new Random(1);
        long frames = bytes / FrameBytes;
        ulong middle = 0;
        for (long i = 0; i < frames; i++)
        {
            byte[] frame = new byte[FrameBytes];
            random.NextBytes(frame);
            runner.Inject(new NetReceive(0, [.. frame]));
            runner.Run(100);
            middle = i == frames / 2 ? machine.Icount : middle;
        }
        runner.Finish();
        writer.Close();
        return middle;
    }
}
