using FtAkka.GuestKit;
using FtAkka.Recordings;
using FtAkka.Recordings.Tests;
using FtAkka.Replication.Log;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>Recordings that are torn, damaged, forged or of another version: what can be used is used, and the message says what is wrong and what to do.</summary>
public sealed class DamagedRecordingTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly StringWriter output = new();
    private readonly StringWriter error = new();

    public void Dispose() => folder.Dispose();

    private string At(string name) => Path.Combine(folder.Path, name);

    /// <summary>All of a command's errors in one line: the terminal folds them.</summary>
    private string Errors => string.Join(' ', error.ToString().Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries));

    [Fact]
    public async Task Torn_tail_is_told_and_the_rest_replays()
    {
        RecordingReader recording = Record();
        using (FileStream log = File.OpenWrite(recording.LogPath))
        {
            log.SetLength(log.Length - 5);
        }
        Assert.Equal(ExitCode.Ok, await Run("replay", At("r"), "--verify"));
        Assert.Contains("the last piece was not written to its end", Errors, StringComparison.Ordinal);
        Assert.Contains("up to there it is whole and can be used", Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Damage_in_the_middle_fails_verification_and_a_later_keyframe_reads_on_behind_it()
    {
        RecordingReader recording = Record();
        List<LogEntry> entries = TinyRecording.Entries(recording);
        List<long> offsets = TinyRecording.WriteSingly(recording, entries);
        int damaged = entries.FindIndex(entry => entry.Icount > recording.Keyframes[1].Icount);
        Flip(recording.LogPath, offsets[damaged] + LogFrame.HeaderBytes + 1);

        Assert.Equal(ExitCode.Ok, await Run("replay", At("r")));
        Assert.Contains($"behind entry {entries[damaged - 1].Lsn}", Errors, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failed, await Run("replay", At("r"), "--verify"));
        Assert.Contains("The recording is damaged", Errors, StringComparison.Ordinal);
        LogEntry readable = entries[(damaged / 3 * 3) + 3];
        Assert.Contains($"start from a keyframe at or behind icount {readable.Icount} (--from)", Errors, StringComparison.Ordinal);
        Keyframe later = recording.Keyframes.First(keyframe => keyframe.Icount > readable.Icount);
        Assert.Equal(ExitCode.Ok, await Run("replay", At("r"), "--verify", "--from", $"{later.Icount}"));
        Assert.Contains("the machine ended as recorded", Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("cut", Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4, 0xFF, "a length is impossible")] // with the byte behind it: 4 GiB
    [InlineData(2, 9, "has a format that this version of ftakka does not know")]
    [InlineData(0, 0, "these bytes are no log")]
    [InlineData(8, 0x55, "the checksum does not fit")]
    public async Task Forged_frame_header_cuts_the_log_there(int at, byte value, string reason)
    {
        RecordingReader recording = Record();
        byte[] log = File.ReadAllBytes(recording.LogPath);
        log.AsSpan(LogFileHeader.SizeBytes + at, at == 4 ? 4 : 1).Fill(value);
        File.WriteAllBytes(recording.LogPath, log);

        Assert.Equal(ExitCode.Ok, await Run("log", "show", At("r"), "--summary"));
        Assert.Contains(reason, output.ToString(), StringComparison.Ordinal);
        Assert.Contains("the log is cut at byte 32", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"version\": 2,", "\"version\": 3,", "format version 3, and this ftakka reads versions 1 to 2: use the one that recorded it, tests")]
    [InlineData("\"version\": 2,", "\"version\": \"?\",", "not the manifest of a recording")]
    [InlineData("\"semantics\": 2,", "\"semantics\": 3,", "CPU semantics 3, and this ftakka knows 0 to 2: use the one that recorded it, tests")]
    [InlineData("\"semantics\": 2,\n  \"hostCpu\": \"any\"", "\"hostCpu\": \"Intel(R) Xeon(R)\"", "made on Intel(R) Xeon(R) before multiplications had defined flags, and would differ now: use the ftakka that recorded it, tests, on such a host")]
    [InlineData("\"semantics\": 2,\n  \"hostCpu\": \"any\"", "\"hostCpu\": \"12th Gen Intel(R) Core(TM) i7-12700K\"", "made on 12th Gen Intel(R) Core(TM) i7-12700K before")]
    [InlineData("\"semantics\": 2,\n  \"hostCpu\": \"any\"", "\"hostCpu\": \"INTEL(R) XEON(R) PLATINUM 8581C\"", "made on INTEL(R) XEON(R) PLATINUM 8581C before")]
    [InlineData("ftvm64-v1", "ftvm64-v9", "no CPU model 'ftvm64-v9': use the one that recorded it, tests")]
    [InlineData("\"memoryBytes\": 16777216", "\"memoryBytes\": 99999999999999", "memory")]
    [InlineData("\"machine\"", "\"engine\"", "machine")]
    public async Task Manifest_of_something_else_is_refused(string text, string instead, string reason)
    {
        Record();
        string file = Path.Combine(At("r"), "manifest.json");
        string manifest = File.ReadAllText(file);
        Assert.Contains(text, manifest, StringComparison.Ordinal);
        File.WriteAllText(file, manifest.Replace(text, instead, StringComparison.Ordinal));

        Assert.Equal(ExitCode.Failed, await Run("replay", At("r")));
        Assert.True(Errors.Contains(reason, StringComparison.OrdinalIgnoreCase), Errors);
        Assert.Contains("manifest.json", Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Endless_manifest_is_not_read()
    {
        Record();
        using (FileStream manifest = File.OpenWrite(Path.Combine(At("r"), "manifest.json")))
        {
            manifest.SetLength(8L << 30);
        }
        Assert.Equal(ExitCode.Failed, await Run("replay", At("r")));
        Assert.Contains("longer than", Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Snapshot_of_another_version_is_named_and_the_others_are_used()
    {
        RecordingReader recording = Record();
        const int versionAt = 8;
        string bad = recording.Keyframes[^1].Path;
        byte[] snapshot = File.ReadAllBytes(bad);
        snapshot[versionAt] = 2;
        File.WriteAllBytes(bad, snapshot);

        Assert.Equal(ExitCode.Ok, await Run("replay", At("r"), "--verify"));
        Assert.Contains($"{Path.GetFileName(bad)} is not used: it has a format that this version of ftakka does not know", Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Index_that_lies_is_not_believed()
    {
        RecordingReader recording = Record();
        List<LogEntry> entries = TinyRecording.Entries(recording);
        string index = Path.ChangeExtension(recording.LogPath, ".ftindex");
        byte[] record = new byte[LogIndexRecord.SizeBytes];
        foreach (long offset in new[] { LogFileHeader.SizeBytes + 1, long.MaxValue, new FileInfo(recording.LogPath).Length })
        {
            new LogIndexRecord(5, new Lsn(2), offset).Write(record);
            File.WriteAllBytes(index, record);
            using LogFileReader log = recording.OpenLog();
            log.SeekBehind(entries[^2].Lsn);
            Assert.Equal(entries[^1].Lsn, log.Read()!.Lsn);
            Assert.Equal(entries[^1].Icount, log.FindEnd());
        }
    }

    private RecordingReader Record()
    {
        TinyRecording.Record(At("r"));
        return RecordingReader.Open(At("r"));
    }

    private static void Flip(string path, long offset)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = offset;
        int value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ 0x10));
    }

    private Task<int> Run(params string[] arguments)
    {
        output.GetStringBuilder().Clear();
        error.GetStringBuilder().Clear();
        return new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(arguments);
    }
}
