using System.Text.Json;
using FtAkka.GuestKit;
using FtAkka.Recordings.Tests;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>The verbs as a user calls them, the tiny guest under the actors.</summary>
public sealed class RecordingVerbsTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly StringWriter output = new();
    private readonly StringWriter error = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Recording_made_by_the_actors_replays_and_shows()
    {
        string kernel = At("tiny.elf");
        File.WriteAllBytes(kernel, TinyGuest.Kernel);
        string disk = At("disk.img");
        File.WriteAllBytes(disk, new byte[64 << 10]);
        Assert.Equal(ExitCode.Ok, await Run(
            "record", "-o", At("r"), "--kernel", kernel, "--memory", "16M", "--append", "workload=journal records=5", "--disk", disk,
            "--console", $"file:{At("console")}", "--digest-every", "20K", "--keyframe-every", "50K"));
        Assert.Equal(TinyGuest.JournalText(1, 5), File.ReadAllText(At("console")));
        File.Delete(disk);

        Assert.Equal(ExitCode.Ok, await Run("replay", At("r"), "--verify", "--extra-stops", "3", "--stats", At("stats.json"), "--full-digest"));
        using JsonDocument stats = JsonDocument.Parse(File.ReadAllText(At("stats.json")));
        Assert.Equal("the machine ended as recorded", stats.RootElement.GetProperty("end").GetString());
        Assert.True(stats.RootElement.GetProperty("digestsChecked").GetUInt64() > 0);
        Assert.Contains("icount ", output.ToString(), StringComparison.Ordinal);

        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("r")));
        Assert.Contains("DiskCompletion", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("Mbit/s", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("r"), "--json", "--kind", "End"));
        using JsonDocument log = JsonDocument.Parse(output.ToString());
        JsonElement end = Assert.Single(log.RootElement.GetProperty("entries").EnumerateArray());
        Assert.Equal("PowerOff", end.GetProperty("content").GetString());
        Assert.Equal(1, log.RootElement.GetProperty("summary").GetProperty("entries").GetInt32());
        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("r"), "--json", "--kind", "Control"));
        JsonDocument.Parse(output.ToString()).Dispose();
        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("r"), "--json", "--summary"));
        JsonDocument.Parse(output.ToString()).Dispose();
        Assert.Equal(ExitCode.Ok, await Run("diff", At("r"), At("r")));
        Assert.Equal("the recordings are the same\n", output.ToString());
    }

    [Fact]
    public async Task Replay_of_a_changed_recording_fails_and_says_where()
    {
        TinyRecording.Record(At("r"));
        var recording = FtAkka.Recordings.RecordingReader.Open(At("r"));
        List<Replication.Log.LogEntry> entries = TinyRecording.Entries(recording);
        int at = entries.FindIndex(entry => entry.Payload is Replication.Log.InputPayload { Input: Machine.Events.DiskCompleted });
        entries[at] = entries[at] with { Payload = new Replication.Log.InputPayload(new Machine.Events.DiskCapacityChange(0, 7)) };
        TinyRecording.CopyWith(recording, At("r"), At("bad"), entries);

        Assert.Equal(ExitCode.Failed, await Run("replay", At("bad")));
        Assert.Contains("Replay left the recording at icount", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ExitCode.Failed, "holds no recording", "replay", "/nonexistent")]
    [InlineData(ExitCode.Failed, "holds no recording", "log", "show", "/nonexistent")]
    [InlineData(ExitCode.Failed, "holds no recording", "diff", "/nonexistent", "/nonexistent")]
    [InlineData(ExitCode.Usage, "no number of instructions", "replay", "/nonexistent", "--from", "many")]
    [InlineData(ExitCode.Usage, "Option '--output' is required", "record")]
    public async Task Mistakes_are_named(int code, string text, params string[] arguments)
    {
        Assert.Equal(code, await Run(arguments));
        Assert.Contains(text, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_that_is_no_log_is_named_as_such()
    {
        await File.WriteAllTextAsync(At("x.frames"), "these bytes are no frames at all, and there are more than a header's worth of them");
        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("x.frames"), "--json"));
        using JsonDocument log = JsonDocument.Parse(output.ToString());
        Assert.Equal(0, log.RootElement.GetProperty("entries").GetArrayLength());
        Assert.Contains("these bytes are no log", log.RootElement.GetProperty("summary").GetProperty("cut").GetString(), StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(folder.Path, name);

    private Task<int> Run(params string[] arguments)
    {
        output.GetStringBuilder().Clear();
        error.GetStringBuilder().Clear();
        return new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(arguments);
    }
}
