using System.Text.Json;
using System.Text.Json.Nodes;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Log;

namespace FtAkka.Recordings;

/// <summary>What two recordings differ in; parts that do not apply are null or empty.</summary>
public sealed record DiffReport
{
    /// <summary>Whether nothing differs.</summary>
    public bool Equal => Configuration.Count == 0 && Start is null && Entry is null && Keyframe is null && Problems.Count == 0;

    /// <summary>Settings of the machines that differ.</summary>
    public IReadOnlyList<DifferentValue> Configuration { get; init; } = [];

    /// <summary>How the machines differ at the start.</summary>
    public StateDifference? Start { get; init; }

    /// <summary>The first entry that differs, as it stands in each; an empty text: the log has ended.</summary>
    public DifferentValue? Entry { get; init; }

    /// <summary>For entries with bytes: the first byte of their content that differs.</summary>
    public string? EntryDetail { get; init; }

    /// <summary>Entries before it.</summary>
    public IReadOnlyList<string> Before { get; init; } = [];

    /// <summary>How the machines differ where the different inputs have been delivered.</summary>
    public StateDifference? AtEntry { get; init; }

    /// <summary>The instruction that makes registers differ for the first time; null if it was not found.</summary>
    public string? Culprit { get; init; }

    /// <summary>How they differ behind it.</summary>
    public StateDifference? FirstRegisters { get; init; }

    /// <summary>How the first pair of keyframes behind the entry differs.</summary>
    public StateDifference? Keyframe { get; init; }

    /// <summary>What else is to be said.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}

/// <summary>Compares two recordings.</summary>
public sealed class RecordingDiff(RecordingReader first, RecordingReader second, Action<string> progress)
{
    /// <summary>Registers that are the same for so long after different inputs are not sought further.</summary>
    private const ulong SearchInstructions = 100_000_000;

    private const int EntriesBefore = 5;

    private readonly Queue<string> before = new();
    private ulong lastEqualDigest;

    /// <summary>Compares.</summary>
    /// <exception cref="RecordingException">A recording cannot be read.</exception>
    public DiffReport Compare()
    {
        List<DifferentValue> configuration = CompareConfigurations();
        if (configuration.Count > 0 && first.Manifest.Machine.MemoryBytes != second.Manifest.Machine.MemoryBytes)
        {
            return new DiffReport { Configuration = configuration };
        }
        progress("comparing the starts");
        var report = new DiffReport { Configuration = configuration, Start = CompareKeyframes(first.Keyframes[0], second.Keyframes[0]) };
        progress("comparing the logs");
        (LogEntry? a, LogEntry? b) = FindDifferentEntry();
        if (a is null && b is null)
        {
            return report;
        }
        report = report with
        {
            Entry = new DifferentValue("entry", TextOf(a), TextOf(b)),
            EntryDetail = a is not null && b is not null ? DetailOf(a, b) : null,
            Before = [.. before],
        };
        if (report.Start is not null || a is null || b is null)
        {
            return report;
        }
        return a.Payload is DigestPayload && b.Payload is DigestPayload && a.Icount == b.Icount
            ? ExplainDigests(report, (DigestPayload)a.Payload, (DigestPayload)b.Payload)
            : ExplainInputs(report, Math.Min(a.Icount, b.Icount));
    }

    private List<DifferentValue> CompareConfigurations()
    {
        JsonObject a = JsonSerializer.SerializeToNode(first.Manifest.Machine, RecordingJson.Line)!.AsObject();
        JsonObject b = JsonSerializer.SerializeToNode(second.Manifest.Machine, RecordingJson.Line)!.AsObject();
        return
        [
            .. first.Manifest.Semantics == second.Manifest.Semantics ? Array.Empty<DifferentValue>()
                : [new DifferentValue("semantics", $"{first.Manifest.Semantics}", $"{second.Manifest.Semantics}")],
            .. a.Where(setting => !JsonNode.DeepEquals(setting.Value, b[setting.Key]))
                .Select(setting => new DifferentValue(setting.Key, Json(setting.Value), Json(b[setting.Key]))),
        ];
        static string Json(JsonNode? node) => node?.ToJsonString() ?? "null";
    }

    private StateDifference? CompareKeyframes(Keyframe a, Keyframe b)
    {
        using GuestMachine one = first.CreateMachine();
        using GuestMachine other = second.CreateMachine();
        first.Restore(a, one);
        second.Restore(b, other);
        StateDifference difference = StateDifference.Of(one, other);
        return difference.IsEmpty && one.Icount == other.Icount ? null : difference;
    }

    private (LogEntry? First, LogEntry? Second) FindDifferentEntry()
    {
        using LogFileReader logA = first.OpenLog();
        using LogFileReader logB = second.OpenLog();
        while (true)
        {
            LogEntry? a = logA.Read();
            LogEntry? b = logB.Read();
            if (a is null || b is null || a.Lsn != b.Lsn || a.Icount != b.Icount || !LogEntries.Encode(a).AsSpan().SequenceEqual(LogEntries.Encode(b)))
            {
                return (a, b);
            }
            lastEqualDigest = a.Payload is DigestPayload ? a.Icount : lastEqualDigest;
            before.Enqueue(TextOf(a));
            if (before.Count > EntriesBefore)
            {
                before.Dequeue();
            }
        }
    }

    private static string TextOf(LogEntry? entry) =>
        entry is null ? "" : $"{entry.Lsn} at icount {entry.Icount}: {LogEntries.KindOf(entry)} {LogEntries.Describe(entry)}";

    private static string? DetailOf(LogEntry a, LogEntry b)
    {
        if (a.Icount != b.Icount)
        {
            return $"the icounts differ by {(a.Icount > b.Icount ? a.Icount - b.Icount : b.Icount - a.Icount)}";
        }
        ReadOnlySpan<byte> first = PayloadBytes.Of(a);
        ReadOnlySpan<byte> second = PayloadBytes.Of(b);
        int offset = first.CommonPrefixLength(second);
        return offset < first.Length && offset < second.Length
            ? $"the first byte that differs is number {offset} of the content: 0x{first[offset]:x2} and 0x{second[offset]:x2}"
            : first.Length != second.Length ? $"the contents have {first.Length} and {second.Length} bytes" : null;
    }

    /// <summary>Different inputs: shows what they do, and where they first show in registers.</summary>
    private DiffReport ExplainInputs(DiffReport report, ulong icount)
    {
        progress($"replaying both to icount {ReadableCount.Of(icount)}");
        using TimeTraveller one = StandAt(first, icount);
        using TimeTraveller other = StandAt(second, icount);
        StateDifference at = StateDifference.Of(one.Machine, other.Machine);
        report = report with { AtEntry = at };
        if (at.Registers.Count > 0)
        {
            return report;
        }
        progress("seeking the first instruction that makes registers differ");
        ulong same = icount;
        ulong? different = null;
        for (ulong step = 1; different is null && step <= SearchInstructions; step *= 2)
        {
            switch (RegistersDiffer(one, other, icount + step))
            {
                case true:
                    different = icount + step;
                    break;
                case false:
                    same = icount + step;
                    break;
                default:
                    // One of them cannot go so far: look at the last point that both reach.
                    ulong last = Math.Min(one.Icount, other.Icount);
                    return RegistersDiffer(one, other, last) == true
                        ? ShowCulprit(report, one, other, same, last)
                        : report with { Problems = [.. Ends(one, "first"), .. Ends(other, "second"), $"the registers are the same up to icount {last}"] };
            }
        }
        return different is { } found
            ? ShowCulprit(report, one, other, same, found)
            : report with { Problems = [$"the registers are the same up to icount {same} and were not compared further"] };
    }

    /// <summary>A machine at an icount where what follows is to be executed, whatever keyframes say: the log may have been changed.</summary>
    private static TimeTraveller StandAt(RecordingReader recording, ulong icount)
    {
        var traveller = new TimeTraveller(recording) { KeyframesUpTo = icount };
        traveller.Seek(icount);
        traveller.Keep();
        return traveller;
    }

    /// <summary>Finds the first instruction behind which registers differ.</summary>
    private static DiffReport ShowCulprit(DiffReport report, TimeTraveller one, TimeTraveller other, ulong same, ulong different)
    {
        while (different - same > 1)
        {
            ulong middle = same + ((different - same) / 2);
            if (RegistersDiffer(one, other, middle) == true)
            {
                different = middle;
            }
            else
            {
                same = middle;
            }
        }
        one.Seek(same);
        string? culprit = StateDifference.CodeAt(one.Machine) is [var instruction, ..] ? instruction : null;
        one.Seek(different);
        other.Seek(different);
        return report with { Culprit = culprit, FirstRegisters = StateDifference.Of(one.Machine, other.Machine) };
    }

    private static string[] Ends(TimeTraveller traveller, string name) =>
        traveller.Divergence is { } divergence ? [$"the {name} recording cannot be replayed further: {DivergenceText.Of(divergence, traveller.LastDigestIcount)}"] : [];

    /// <summary>Whether the registers differ at an icount; null if one of the recordings cannot be replayed so far.</summary>
    private static bool? RegistersDiffer(TimeTraveller one, TimeTraveller other, ulong icount)
    {
        one.Seek(icount);
        other.Seek(icount);
        return one.Icount != icount || other.Icount != icount ? null
            : !one.Vcpu.ReadRegisters().Named().SequenceEqual(other.Vcpu.ReadRegisters().Named());
    }

    /// <summary>Equal inputs and different states: one of the machines did what it should not have done. Says which, and what, as far as it is known.</summary>
    private DiffReport ExplainDigests(DiffReport report, DigestPayload a, DigestPayload b)
    {
        var problems = new List<string>
        {
            $"the digests differ in {DivergenceText.Parts(a.Digest, b.Digest)}; "
                + $"the difference came between icount {ReadableCount.Of(lastEqualDigest)}, where they were equal, and {ReadableCount.Of(a.Digest.Icount)}",
        };
        foreach ((RecordingReader recording, string name) in new[] { (first, "first"), (second, "second") })
        {
            progress($"replaying the {name} to icount {a.Digest.Icount}");
            // From a keyframe that both still agreed on: a later one may hold what is wrong already.
            using var traveller = new TimeTraveller(recording) { KeyframesUpTo = lastEqualDigest };
            traveller.Seek(a.Digest.Icount);
            problems.Add(traveller.Divergence is { } divergence
                ? $"a replay of the {name} recording does not come to its own state: {DivergenceText.Of(divergence, traveller.LastDigestIcount)}"
                : $"a replay of the {name} recording comes to the state it recorded");
        }
        Keyframe? behind = first.Keyframes.FirstOrDefault(keyframe => keyframe.Icount >= a.Digest.Icount);
        Keyframe? other = second.Keyframes.FirstOrDefault(keyframe => keyframe.Icount == behind?.Icount);
        if (behind is null || other is null)
        {
            problems.Add("there is no pair of keyframes behind it that could be compared");
            return report with { Problems = problems };
        }
        return report with { Problems = problems, Keyframe = CompareKeyframes(behind, other) };
    }
}
