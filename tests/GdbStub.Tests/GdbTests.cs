using System.Diagnostics;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.Recordings;
using FtAkka.Recordings.Tests;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.GdbStub.Tests;

/// <summary>The gdb of the host on a replay. What it must see is found by single steps.</summary>
public sealed class GdbTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [HostProgramFact("gdb")]
    public void Breaks_then_goes_back_to_an_earlier_write_and_sees_the_values_of_then()
    {
        string recordingFolder = Path.Combine(folder.Path, "r");
        TinyRecording.Record(recordingFolder);
        RecordingReader recording = RecordingReader.Open(recordingFolder);
        (ulong from, ulong word) = TinyRecording.FindWordThatChanges(recording, 3000);
        List<(ulong Icount, ulong Rip, ulong Value)> steps = Steps(recording, from, from + 3000, word);
        // Where the word changes: the state before the write is that of the step before.
        List<int> writes = [.. Enumerable.Range(1, steps.Count - 1).Where(i => steps[i].Value != steps[i - 1].Value)];
        int last = writes[^1];
        int goal = steps.FindIndex(last, step => steps.Count(other => other.Rip == step.Rip) == 1);
        if (goal < 0)
        {
            goal = last;
        }

        string[] seen = Debug(recordingFolder, from,
            $"hbreak *0x{steps[goal].Rip:x}",
            "continue",
            "printf \"AT %lu %lx\\n\", $icount, $rip",
            "delete",
            $"watch -l *(unsigned long*)0x{word:x}",
            $"stepi",
            "reverse-continue",
            "printf \"AT %lu %lx\\n\", $icount, $rip",
            $"printf \"VALUE %lx\\n\", *(unsigned long*)0x{word:x}",
            "stepi",
            $"printf \"VALUE %lx\\n\", *(unsigned long*)0x{word:x}",
            "reverse-stepi",
            "printf \"AT %lu %lx\\n\", $icount, $rip",
            "info registers cr3",
            "x/2i $rip");

        int first = steps.FindIndex(1, step => step.Rip == steps[goal].Rip);
        List<int> before = [.. writes.Where(write => write - 1 < first + 1)];
        Assert.NotEmpty(before);
        (ulong Icount, ulong Rip, ulong Value) write = steps[before[^1] - 1];
        Assert.Equal($"AT {steps[first].Icount} {steps[first].Rip:x}", seen[0]);
        Assert.Equal($"AT {write.Icount} {write.Rip:x}", seen[1]);
        Assert.Equal($"VALUE {write.Value:x}", seen[2]);
        Assert.Equal($"VALUE {steps[before[^1]].Value:x}", seen[3]);
        Assert.Equal($"AT {write.Icount} {write.Rip:x}", seen[4]);
    }

    private static List<(ulong Icount, ulong Rip, ulong Value)> Steps(RecordingReader recording, ulong from, ulong to, ulong word)
    {
        using var traveller = new TimeTraveller(recording);
        traveller.Seek(from);
        var steps = new List<(ulong, ulong, ulong)>();
        byte[] bytes = new byte[8];
        for (; traveller.Icount < to; traveller.Seek(traveller.Icount + 1))
        {
            // The tiny guest maps its memory one to one.
            Assert.True(traveller.Vcpu.TryTranslate(word, out ulong physical) && physical == word);
            traveller.Machine.Memory.TryRead(word, bytes);
            steps.Add((traveller.Icount, traveller.Vcpu.Rip, BitConverter.ToUInt64(bytes)));
        }
        return steps;
    }

    /// <summary>Runs gdb on a replay; returns its lines that begin with a word in capitals.</summary>
    private static string[] Debug(string recordingFolder, ulong from, params string[] commands)
    {
        using var cancel = new CancellationTokenSource(Patience);
        var port = new TaskCompletionSource<int>();
        RecordingReader recording = RecordingReader.Open(recordingFolder);
        Task server = Task.Run(() => ReplayDebugging.Run(recording, from, 0, null, line =>
        {
            if (line.Split("target remote :") is [_, var number])
            {
                port.TrySetResult(int.Parse(number, CultureInfo.InvariantCulture));
            }
        }, cancel.Token));
        Assert.True(port.Task.Wait(Patience), "the server did not start");
        string[] setUp = ["set pagination off", "set confirm off", "set architecture i386:x86-64", $"target remote 127.0.0.1:{port.Task.Result}"];
        var start = new ProcessStartInfo("gdb") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in new[] { "-nx", "-batch" }.Concat(setUp.Concat(commands).Append("kill").SelectMany(command => new[] { "-ex", command })))
        {
            start.ArgumentList.Add(argument);
        }
        using Process gdb = Process.Start(start)!;
        Task<string> errors = gdb.StandardError.ReadToEndAsync();
        string output = gdb.StandardOutput.ReadToEnd();
        gdb.WaitForExit();
        Assert.True(server.Wait(Patience), "the server did not end");
        string[] seen = [.. output.Split('\n').Where(line => line.StartsWith("AT ", StringComparison.Ordinal) || line.StartsWith("VALUE ", StringComparison.Ordinal))];
        Assert.True(seen.Length == 5, output + errors.Result);
        return seen;
    }
}
