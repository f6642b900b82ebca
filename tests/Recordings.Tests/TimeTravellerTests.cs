using FtAkka.Cpu.Debugging;
using FtAkka.DeviceActors.Tests;
using FtAkka.Machine.Digest;

namespace FtAkka.Recordings.Tests;

/// <summary>Going back and forth in a recording, and stops of the host's debugger.</summary>
public sealed class TimeTravellerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Same_icount_is_the_same_state_whichever_way_it_is_reached()
    {
        RecordingReader recording = Record();
        using var traveller = new TimeTraveller(recording);
        ulong end = recording.Keyframes[^1].Icount;
        var random = new Random(11);
        ulong[] places = [.. Enumerable.Range(0, 12).Select(_ => (ulong)random.NextInt64(0, (long)end))];
        var expected = new Dictionary<ulong, MachineDigest>();
        foreach (ulong place in places.Order())
        {
            traveller.Seek(place);
            expected[place] = traveller.Machine.ComputeFullDigest();
            Assert.Equal(place, expected[place].Icount);
        }
        foreach (ulong place in places)
        {
            traveller.Seek(place);
            Assert.Equal(expected[place], traveller.Machine.ComputeFullDigest());
        }
        Assert.Equal(TravelStop.End, traveller.Seek(ulong.MaxValue).Stop);
        Assert.Null(traveller.Divergence);
    }

    [Fact]
    public void Stops_leave_no_trace_and_are_where_single_steps_find_them()
    {
        const ulong Length = 3000;
        RecordingReader recording = Record();
        using var traveller = new TimeTraveller(recording);
        (ulong from, ulong watched) = TinyRecording.FindWordThatChanges(recording, Length);
        ulong to = from + Length;
        traveller.Seek(from);

        // The oracle: one instruction at a time.
        var rips = new List<(ulong Icount, ulong Rip)>();
        var changes = new List<ulong>();
        byte[] before = new byte[8], after = new byte[8];
        traveller.Machine.Memory.TryRead(watched, before);
        while (traveller.Icount < to)
        {
            rips.Add((traveller.Icount, traveller.Vcpu.Rip));
            traveller.Seek(traveller.Icount + 1);
            traveller.Machine.Memory.TryRead(watched, after);
            if (!before.AsSpan().SequenceEqual(after))
            {
                changes.Add(traveller.Icount);
                after.CopyTo(before, 0);
            }
        }
        MachineDigest expected = traveller.Machine.ComputeFullDigest();
        ulong place = rips.GroupBy(entry => entry.Rip).OrderBy(group => group.Count()).First(group => group.Count() > 3).Key;
        List<ulong> hits = [.. rips.Skip(1).Where(entry => entry.Rip == place).Select(entry => entry.Icount)];

        traveller.Seek(from);
        traveller.SetStops(new SortedSet<ulong> { place }, []);
        var found = new List<ulong>();
        while (traveller.Forward(to) is { Stop: TravelStop.Breakpoint })
        {
            found.Add(traveller.Icount);
        }
        Assert.Equal(hits, found);
        Assert.Equal(expected, traveller.Machine.ComputeFullDigest());
        foreach (ulong hit in Enumerable.Reverse(hits))
        {
            Assert.Equal(TravelStop.Breakpoint, traveller.Back().Stop);
            Assert.Equal(hit, traveller.Icount);
        }

        traveller.Seek(from);
        traveller.SetStops(new SortedSet<ulong>(), [new HostWatchpoint(watched, 8, OnRead: false, OnWrite: true)]);
        var writes = new List<ulong>();
        while (traveller.Forward(to) is { Stop: TravelStop.Watchpoint } result)
        {
            Assert.True(result.Hit!.Write);
            writes.Add(traveller.Icount);
        }
        Assert.NotEmpty(changes);
        Assert.Subset(writes.ToHashSet(), changes.ToHashSet());
        Assert.Equal(expected, traveller.Machine.ComputeFullDigest());
        foreach (ulong write in Enumerable.Reverse(writes))
        {
            Assert.Equal(TravelStop.Watchpoint, traveller.Back().Stop);
            Assert.Equal(write - 1, traveller.Icount);
        }
    }

    [Fact]
    public void Whole_replay_under_stops_has_equal_digests()
    {
        RecordingReader recording = Record();
        using var traveller = new TimeTraveller(recording);
        traveller.Seek(60_000);
        ulong rip = traveller.Vcpu.Rip;
        Assert.True(traveller.Vcpu.TryTranslate(traveller.Vcpu.ReadRegisters().General[4] - 8, out ulong watched));
        traveller.Seek(0);
        traveller.SetStops(new SortedSet<ulong> { rip }, [new HostWatchpoint(watched, 8, OnRead: true, OnWrite: true)]);
        int stops = 0;
        while (traveller.Forward(ulong.MaxValue) is { Stop: TravelStop.Breakpoint or TravelStop.Watchpoint })
        {
            stops++;
        }
        Assert.Null(traveller.Divergence);
        Assert.True(stops > 10, $"{stops} stops");
        Assert.True(traveller.Icount > recording.Keyframes[^1].Icount);
    }

    private RecordingReader Record()
    {
        TinyRecording.Record(folder.File("r"));
        return RecordingReader.Open(folder.File("r"));
    }
}
