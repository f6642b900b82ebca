using FtAkka.DeviceActors.Tests;
using FtAkka.Machine;
using FtAkka.Replication.Replay;
using FtAkka.TinyGuests;

namespace FtAkka.Recordings.Tests;

/// <summary>Recordings of a machine that was started again.</summary>
public sealed class RestartRecordingTests : IDisposable
{
    private const string Boot = "boot.ftboot";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string At(string name) => folder.File(name);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Recording_with_two_restarts_replays_from_every_keyframe_and_however_it_is_stopped(int how)
    {
        string printed = TinyRecording.Record(At("r"), $"workload=reboot count=3 how={how}", onEnd: EndPolicy.Restart, keyframeEvery: 3_000);
        Assert.Equal(TinyGuest.RebootText(3), printed);
        RecordingReader recording = RecordingReader.Open(At("r"));
        Assert.True(recording.Keyframes.Count > 3, $"only {recording.Keyframes.Count} keyframes");

        var whole = TinyRecording.Replay(recording, recording.Keyframes[0]);
        Assert.Null(whole.Player.Divergence);
        Assert.Equal(printed, whole.Console);
        for (int seed = 0; seed < 3; seed++)
        {
            var stopped = TinyRecording.Replay(recording, recording.Keyframes[0], stopsSeed: seed, stopsWithin: 500);
            Assert.Null(stopped.Player.Divergence);
            Assert.Equal((printed, whole.Icount, whole.FullMemory), (stopped.Console, stopped.Icount, stopped.FullMemory));
        }
        foreach (Keyframe keyframe in recording.Keyframes)
        {
            var part = TinyRecording.Replay(recording, keyframe);
            Assert.Null(part.Player.Divergence);
            Assert.Equal((whole.Icount, whole.FullMemory), (part.Icount, part.FullMemory));
        }
    }

    [Fact]
    public void Going_back_over_a_restart_comes_to_the_same_state()
    {
        TinyRecording.Record(At("r"), "workload=reboot count=3", onEnd: EndPolicy.Restart, keyframeEvery: 3_000);
        using var traveller = new TimeTraveller(RecordingReader.Open(At("r")));
        traveller.Seek(4_000);
        ulong early = traveller.Machine.ComputeFullDigest().Memory;
        traveller.Seek(ulong.MaxValue);
        Assert.Equal(2UL, traveller.Machine.Restarts);
        ulong late = traveller.Machine.ComputeFullDigest().Memory;
        traveller.Seek(4_000);
        Assert.Equal((0UL, early), (traveller.Machine.Restarts, traveller.Machine.ComputeFullDigest().Memory));
        traveller.Seek(ulong.MaxValue);
        Assert.Equal((2UL, late), (traveller.Machine.Restarts, traveller.Machine.ComputeFullDigest().Memory));
    }

    [Fact]
    public void What_the_machine_boots_from_is_written_at_the_first_restart_and_missed_where_it_is_lost()
    {
        TinyRecording.Record(At("none"), "workload=counter count=2", onEnd: EndPolicy.Restart);
        Assert.False(File.Exists(Path.Combine(At("none"), Boot)));

        TinyRecording.Record(At("r"), "workload=reboot count=3", onEnd: EndPolicy.Restart);
        File.Delete(Path.Combine(At("r"), Boot));
        RecordingReader recording = RecordingReader.Open(At("r"));
        Divergence? divergence = TinyRecording.Replay(recording, recording.Keyframes[0]).Player.Divergence;
        Assert.Contains("without the files that it boots from", divergence?.What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "damaged")]
    [InlineData(100, "not of this recording's machine")]
    public void Damaged_boot_files_are_named(int at, string what)
    {
        TinyRecording.Record(At("r"), "workload=reboot count=2", onEnd: EndPolicy.Restart);
        string file = Path.Combine(At("r"), Boot);
        byte[] bytes = File.ReadAllBytes(file);
        bytes[at + 5] ^= 0x40;
        File.WriteAllBytes(file, bytes);
        RecordingReader recording = RecordingReader.Open(At("r"));
        RecordingException refused = Assert.Throws<RecordingException>(() => TinyRecording.Replay(recording, recording.Keyframes[0]));
        Assert.Contains(what, refused.Message, StringComparison.Ordinal);
        Assert.Contains(file, refused.Message, StringComparison.Ordinal);
    }
}
