using FtAkka.DeviceActors.Tests;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;
using FtAkka.TinyGuests;

namespace FtAkka.Recordings.Tests;

/// <summary>The tiny guest recorded to disk, and replayed from there.</summary>
public sealed class RecordReplayTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string At(string name) => folder.File(name);

    [Fact]
    public void Replay_is_the_recording_from_every_keyframe_and_however_it_is_stopped()
    {
        string printed = TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        Assert.Empty(recording.Problems);
        Assert.Contains("echo served", printed, StringComparison.Ordinal);
        Assert.True(recording.Keyframes.Count > 3, $"only {recording.Keyframes.Count} keyframes");

        var whole = TinyRecording.Replay(recording, recording.Keyframes[0]);
        Assert.Null(whole.Player.Divergence);
        Assert.Equal(printed, whole.Console);
        Assert.True(whole.Player.DigestsChecked > 5, $"only {whole.Player.DigestsChecked} digests");

        for (int seed = 0; seed < 3; seed++)
        {
            var stopped = TinyRecording.Replay(recording, recording.Keyframes[0], stopsSeed: seed);
            Assert.Null(stopped.Player.Divergence);
            Assert.Equal((printed, whole.Icount, whole.FullMemory), (stopped.Console, stopped.Icount, stopped.FullMemory));
        }
        foreach (Keyframe keyframe in recording.Keyframes)
        {
            var part = TinyRecording.Replay(recording, keyframe);
            Assert.Null(part.Player.Divergence);
            Assert.EndsWith(part.Console, printed, StringComparison.Ordinal);
            Assert.Equal((whole.Icount, whole.FullMemory), (part.Icount, part.FullMemory));
        }
    }

    /// <summary>A backup's output gate can hold replay only between two turns.</summary>
    [Fact]
    public void Turn_of_replay_ends_behind_so_many_outputs()
    {
        TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        using var whole = new RecordingReplay(recording, recording.Keyframes[0]);
        using var replay = new RecordingReplay(recording, recording.Keyframes[0]);
        int expected = whole.Run(1_000_000_000).Effects.Count;

        replay.Player.EffectsMax = 1;
        int turns = 0, outputs = 0;
        PlayerExit exit;
        do
        {
            exit = replay.Run(1_000_000_000);
            outputs += exit.Effects.Count;
            turns++;
            Assert.True(exit.Stop != PlayerStop.BudgetSpent || exit.Effects.Count > 0);
        }
        while (exit.Stop == PlayerStop.BudgetSpent);

        Assert.Null(replay.Player.Divergence);
        Assert.Equal((expected, whole.Machine.Icount), (outputs, replay.Machine.Icount));
        Assert.True(turns > 20, $"{outputs} outputs in {turns} turns");
    }

    [Fact]
    public void Machine_at_a_checkpoint_is_the_keyframe_taken_there()
    {
        TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        using var replay = new RecordingReplay(recording, recording.Keyframes[0]);
        replay.Player.StopsAtCheckpoints = true;
        int compared = 0;
        while (replay.Run(1_000_000_000) is { Stop: PlayerStop.Checkpoint })
        {
            Keyframe keyframe = recording.Keyframes.Single(candidate => candidate.Header.Position == replay.Player.Position);
            Assert.True(RecordingReader.Compare(keyframe, replay.Machine).IsEqual);
            compared++;
        }
        Assert.Equal(recording.Keyframes.Count - 1, compared);
        Assert.Null(replay.Player.Divergence);
    }

    [Fact]
    public void Log_cut_anywhere_replays_up_to_the_cut()
    {
        TinyRecording.Record(At("r"), "workload=journal records=3");
        RecordingReader recording = RecordingReader.Open(At("r"));
        List<LogEntry> all = TinyRecording.Entries(recording);
        byte[] log = File.ReadAllBytes(recording.LogPath);
        var random = new Random(5);
        for (int round = 0; round < 30; round++)
        {
            int length = random.Next(LogFileHeader.SizeBytes, log.Length);
            File.WriteAllBytes(recording.LogPath, log[..length]);
            List<LogEntry> read = TinyRecording.Entries(recording);
            Assert.Equal(all[..read.Count].Select(entry => entry.Icount), read.Select(entry => entry.Icount));
            using LogFileReader reader = recording.OpenLog();
            while (reader.Read() is not null)
            {
            }
            // Cut exactly between two frames, nothing is torn.
            Assert.True(reader.Tail is null || reader.Tail.CutBytes == length - reader.Position, reader.Tail?.ToString());
            Assert.Equal(length, reader.Position + (reader.Tail?.CutBytes ?? 0));
            Assert.True(reader.Tail is null or { IsTorn: true }, reader.Tail?.ToString());
            Assert.Null(TinyRecording.Replay(recording, recording.Keyframes[0]).Player.Divergence);
        }
    }

    [Fact]
    public void Damaged_byte_cuts_the_log_there_with_a_reason()
    {
        TinyRecording.Record(At("r"), "workload=journal records=3");
        RecordingReader recording = RecordingReader.Open(At("r"));
        byte[] log = File.ReadAllBytes(recording.LogPath);
        int total = TinyRecording.Entries(recording).Count;
        for (int position = LogFileHeader.SizeBytes; position < log.Length; position += 7)
        {
            byte[] damaged = [.. log];
            damaged[position] ^= 0x10;
            File.WriteAllBytes(recording.LogPath, damaged);
            using LogFileReader reader = recording.OpenLog();
            int read = 0;
            while (reader.Read() is not null)
            {
                read++;
            }
            Assert.True(read < total, $"byte {position}");
            Assert.NotNull(reader.Tail);
            Assert.Contains("are not used", reader.Tail.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Reader_seeks_by_icount_and_by_number()
    {
        TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        List<LogEntry> all = TinyRecording.Entries(recording);
        TinyRecording.WriteSingly(recording, all);
        using LogFileReader reader = recording.OpenLog();
        foreach (LogEntry entry in all)
        {
            reader.SeekBehind(new Lsn(entry.Lsn.Value - 1));
            Assert.Equal(entry.Lsn, reader.Read()!.Lsn);
            reader.SeekIcount(entry.Icount);
            LogEntry first = reader.Read()!;
            Assert.True(first.Icount < entry.Icount || first.Lsn == all.First(other => other.Icount == entry.Icount).Lsn, $"entry {entry.Lsn}");
            Assert.True(entry.Lsn.Value - first.Lsn.Value < 3 + (ulong)all.Count(other => other.Icount == entry.Icount), $"entry {entry.Lsn}");
        }
        Assert.True(all.Count > 20);
    }

    [Fact]
    public void One_bit_of_one_frame_is_caught_at_the_next_digest()
    {
        TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        List<LogEntry> entries = TinyRecording.Entries(recording);
        int at = entries.FindIndex(entry => entry.Payload is InputPayload { Input: NetReceive });
        var frame = (NetReceive)((InputPayload)entries[at].Payload).Input;
        byte[] bytes = [.. frame.Frame];
        bytes[40] ^= 0x04;
        entries[at] = entries[at] with { Payload = new InputPayload(frame with { Frame = [.. bytes] }) };

        AssertCaught(TinyRecording.CopyWith(recording, At("r"), At("bad"), entries), entries, at);
        Assert.Equal(1, Diff(At("r"), At("bad"), out string text));
        Assert.Contains("NetReceive", text, StringComparison.Ordinal);
        Assert.Contains("number 40 of the content", text, StringComparison.Ordinal);
        Assert.Contains("page 0x", text, StringComparison.Ordinal);
        Assert.Matches("makes registers differ for the first time:\n +0x[0-9a-f]{16}  lodsb", text);
    }

    [Fact]
    public void Completion_one_instruction_late_is_caught_at_the_next_digest()
    {
        TinyRecording.Record(At("r"));
        RecordingReader recording = RecordingReader.Open(At("r"));
        List<LogEntry> entries = TinyRecording.Entries(recording);
        int at = entries.FindIndex(entry => entry.Payload is InputPayload { Input: DiskCompleted } && Next(entry).Icount > entry.Icount + 1);
        LogEntry Next(LogEntry entry) => entries[(int)entry.Lsn.Value];
        entries[at] = entries[at] with { Icount = entries[at].Icount + 1 };

        AssertCaught(TinyRecording.CopyWith(recording, At("r"), At("bad"), entries), entries, at);
        Assert.Equal(1, Diff(At("r"), At("bad"), out string text));
        Assert.Contains("DiskCompletion", text, StringComparison.Ordinal);
        Assert.Contains("the icounts differ by 1", text, StringComparison.Ordinal);
        Assert.Contains("disk (virtio window 0): ", text, StringComparison.Ordinal);
        Assert.Contains("the second recording cannot be replayed further: ", text, StringComparison.Ordinal);
    }

    [Fact]
    public void One_register_is_caught_at_the_next_digest_and_named_by_diff()
    {
        const int R15 = 15;
        TinyRecording.Record(At("r"), "workload=compute rounds=4");
        TinyRecording.Record(At("bad"), "workload=compute rounds=4", tamper: machine => machine.Vcpu!.WriteRegister(R15, 0x5EED));
        var replayed = TinyRecording.Replay(RecordingReader.Open(At("bad")), RecordingReader.Open(At("bad")).Keyframes[0]);

        Assert.NotNull(replayed.Player.Divergence);
        Assert.NotEqual(replayed.Player.Divergence.Expected!.Value.Cpu, replayed.Player.Divergence.Actual!.Value.Cpu);
        Assert.True(replayed.Player.Divergence.Icount <= 120_000 + 20_000 + TinyRecording.DigestEvery, $"{replayed.Player.Divergence}");
        Assert.Equal(1, Diff(At("r"), At("bad"), out string text));
        Assert.Contains("the digests differ in CPU; the difference came between icount 100,000, where they were equal, and 150,000", text, StringComparison.Ordinal);
        Assert.Contains("a replay of the first recording comes to the state it recorded", text, StringComparison.Ordinal);
        Assert.Contains("a replay of the second recording does not come to its own state", text, StringComparison.Ordinal);
        Assert.Contains("r15        0x0000000000000000  0x0000000000005eed", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Diff_names_other_cpu_semantics()
    {
        TinyRecording.Record(At("r"), "");
        TinyRecording.CopyWith(At("r"), At("old"), "\"semantics\": 2,", "");

        Diff(At("r"), At("old"), out string text);

        Assert.Contains("setting semantics: 2  0", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_of_others_and_damaged_files_are_refused_with_a_reason()
    {
        TinyRecording.Record(At("r"), "");
        TinyRecording.Record(At("other"), "");
        RecordingReader recording = RecordingReader.Open(At("r"));
        string snapshot = recording.Keyframes[0].Path;
        byte[] good = File.ReadAllBytes(snapshot);

        Assert.Contains("already", Assert.Throws<RecordingException>(() => TinyRecording.Record(At("r"), "")).Message, StringComparison.Ordinal);
        Assert.Contains("no recording", Assert.Throws<RecordingException>(() => RecordingReader.Open(At("none"))).Message, StringComparison.Ordinal);
        File.Copy(Path.Combine(At("other"), Path.GetFileName(snapshot)), snapshot, overwrite: true);
        Assert.Contains("another recording", Assert.Throws<RecordingException>(() => RecordingReader.Open(At("r"))).Message, StringComparison.Ordinal);
        using var machine = recording.CreateMachine();
        var random = new Random(3);
        for (int round = 0; round < 200; round++)
        {
            byte[] bad = round % 2 == 0 ? good[..random.Next(96, good.Length)] : [.. good];
            if (round % 2 == 1)
            {
                bad[random.Next(96, bad.Length)] ^= (byte)(1 << random.Next(8));
            }
            File.WriteAllBytes(snapshot, bad);
            Assert.Throws<RecordingException>(() => recording.Restore(recording.Keyframes[0], machine));
        }
        File.WriteAllBytes(snapshot, good);
        recording.Restore(recording.Keyframes[0], machine);
    }

    private static void AssertCaught(RecordingReader bad, List<LogEntry> entries, int at)
    {
        var replayed = TinyRecording.Replay(bad, bad.Keyframes[0]);
        LogEntry nextDigest = entries.Skip(at).First(entry => entry.Payload is DigestPayload);
        Assert.NotNull(replayed.Player.Divergence);
        Assert.InRange(replayed.Player.Divergence.Lsn.Value, entries[at].Lsn.Value, nextDigest.Lsn.Value);
    }

    private static int Diff(string first, string second, out string text)
    {
        var output = new StringWriter();
        DiffReport report = new RecordingDiff(RecordingReader.Open(first), RecordingReader.Open(second), _ => { }).Compare();
        DiffText.Write(output, report);
        text = output.ToString();
        return report.Equal ? 0 : 1;
    }
}
