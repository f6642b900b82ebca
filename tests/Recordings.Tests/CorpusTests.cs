using System.Security.Cryptography;
using System.Text;
using FtAkka.DeviceActors.Tests;
using FtAkka.Machine;
using FtAkka.Replication.Replay;

namespace FtAkka.Recordings.Tests;

/// <summary>
/// Recordings made by earlier versions, in tests/Replication.Tests/Corpus: each replays for ever, with the same digests, outputs and end. They are
/// never changed; when the format or the CPU model gets a new version, recordings of that are added (see the README there).
/// </summary>
public sealed class CorpusTests
{
    private static readonly string Corpus = Path.Combine(Root(), "tests", "Replication.Tests", "Corpus");

    public static TheoryData<string> Recordings() =>
        [.. Directory.GetDirectories(Corpus).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Recordings))]
    public void Old_recording_replays(string name)
    {
        RecordingReader recording = RecordingReader.Open(Path.Combine(Corpus, name));
        Assert.Empty(recording.Problems);
        Assert.Equal(File.ReadAllText(Path.Combine(Corpus, name, "expected.txt")), Outcome(recording, recording.Keyframes[0]));
        foreach (Keyframe keyframe in recording.Keyframes)
        {
            Assert.Null(TinyRecording.Replay(recording, keyframe).Player.Divergence);
        }
    }

    /// <summary>As on a host whose CPU leaves something else in undefined flags each time.</summary>
    [Theory]
    [MemberData(nameof(Recordings))]
    public void Old_recording_replays_whatever_the_host_leaves_in_undefined_flags(string name)
    {
        RecordingReader recording = RecordingReader.Open(Path.Combine(Corpus, name));
        string expected = File.ReadAllText(Path.Combine(Corpus, name, "expected.txt"));
        Assert.Equal(expected, Outcome(recording, recording.Keyframes[0], flagNoise: 1));
        Assert.Equal(expected, Outcome(recording, recording.Keyframes[0], flagNoise: 2));
    }

    /// <summary>Recordings of every kind are there: the number decides the rule, so some of them would diverge without it.</summary>
    [Theory]
    [InlineData("v1", 0)]
    [InlineData("s1", 1)]
    [InlineData("s2", 2)]
    public void Recordings_name_their_cpu_semantics(string prefix, int semantics)
    {
        foreach (string name in new[] { "compute", "all" })
        {
            Assert.Equal(semantics, RecordingReader.Open(Path.Combine(Corpus, $"{prefix}-{name}")).Manifest.Semantics);
        }
    }

    /// <summary>Both rules give other digests: a recording that replayed under either would show nothing.</summary>
    [Fact]
    public void Old_recording_of_multiplications_diverges_under_the_present_rule()
    {
        using var folder = new TemporaryFolder();
        RecordingReader recording = TinyRecording.CopyWith(
            Path.Combine(Corpus, "v1-compute"), folder.File("r"), "\"hostCpu\"", "\"semantics\": 1, \"hostCpu\"");
        Assert.NotNull(TinyRecording.Replay(recording, recording.Keyframes[0]).Player.Divergence);
    }

    [Fact]
    public void Corpus_is_there() => Assert.True(Recordings().Count >= 5);

    /// <summary>With FTAKKA_NEW_CORPUS=PREFIX: records the present version's sessions beside the old ones.</summary>
    [NewCorpusFact]
    public void New_recordings_are_made()
    {
        foreach ((string name, string commandLine) in new[]
        {
            ("hello", ""),
            ("counter", "workload=counter count=8"),
            ("console", "workload=console"),
            ("journal", "workload=journal records=5 pause=1000"),
            ("compute", "workload=compute rounds=2 seed=3"),
            ("all", TinyRecording.Everything),
            ("reboot", "workload=reboot count=3"),
        })
        {
            string folder = Path.Combine(Corpus, $"{NewCorpusFactAttribute.Prefix}-{name}");
            TinyRecording.Record(folder, commandLine, onEnd: EndPolicy.Restart);
            RecordingReader recording = RecordingReader.Open(folder);
            File.WriteAllText(Path.Combine(folder, "expected.txt"), Outcome(recording, recording.Keyframes[0]));
        }
    }

    private static string Outcome(RecordingReader recording, Keyframe start, ulong flagNoise = 0)
    {
        (string console, MachinePlayer player, ulong icount, ulong memory) = TinyRecording.Replay(recording, start, flagNoise: flagNoise);
        Assert.True(player.Divergence is null, $"{player.Divergence}");
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(console)));
        return $"icount {icount}\nentries {player.LastExecuted}\noutputs {player.LastOutput}\ndigests {player.DigestsChecked}\nmemory {memory:x16}\nconsole sha256 {hash}\n";
    }

    private static string Root()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "FtAkka.sln")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException($"No FtAkka.sln above {AppContext.BaseDirectory}.");
    }
}
