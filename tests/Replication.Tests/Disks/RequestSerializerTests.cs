using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;

namespace FtAkka.Replication.Tests.Disks;

/// <summary>Overlapping disk requests keep their order (paper 3.4).</summary>
public sealed class RequestSerializerTests
{
    private static DiskRequest Read(ulong id, ulong sector, uint sectors) => new(id, DiskRequestKind.Read, sector, sectors * 512ul, []);

    private static DiskRequest Write(ulong id, ulong sector, uint sectors) => new(id, DiskRequestKind.Write, sector, sectors * 512ul, []);

    private static DiskRequest Flush(ulong id) => new(id, DiskRequestKind.Flush, 0, 0, []);

    private static ulong[] Ids(IEnumerable<DiskRequest> requests) => [.. requests.Select(r => r.Id)];

    [Fact]
    public void Reads_of_one_range_run_side_by_side()
    {
        var serializer = new RequestSerializer(8);
        Assert.Equal(RequestAdmission.Start, serializer.Submit(Read(1, 0, 8)));
        Assert.Equal(RequestAdmission.Start, serializer.Submit(Read(2, 0, 8)));
    }

    [Theory]
    [InlineData(0, 8, 8, 8, RequestAdmission.Start)]    // adjacent
    [InlineData(8, 8, 0, 8, RequestAdmission.Start)]
    [InlineData(0, 8, 7, 8, RequestAdmission.Held)]     // one sector in common
    [InlineData(7, 8, 0, 8, RequestAdmission.Held)]
    [InlineData(0, 100, 50, 1, RequestAdmission.Held)]  // inside
    [InlineData(50, 1, 0, 100, RequestAdmission.Held)]
    public void Writes_are_held_exactly_when_they_overlap(ulong a, uint aSectors, ulong b, uint bSectors, RequestAdmission expected)
    {
        var serializer = new RequestSerializer(8);
        serializer.Submit(Write(1, a, aSectors));
        Assert.Equal(expected, serializer.Submit(Write(2, b, bSectors)));
    }

    [Theory]
    [InlineData(DiskRequestKind.Write)]
    [InlineData(DiskRequestKind.Discard)]
    [InlineData(DiskRequestKind.WriteZeroes)]
    public void Whatever_changes_the_disk_conflicts_with_a_read(DiskRequestKind kind)
    {
        var serializer = new RequestSerializer(8);
        serializer.Submit(new DiskRequest(1, kind, 4, 512, []));
        Assert.Equal(RequestAdmission.Held, serializer.Submit(Read(2, 4, 1)));
        Assert.Equal([2ul], Ids(serializer.Complete(1)));
    }

    [Fact]
    public void Flush_waits_for_nothing_and_holds_nothing()
    {
        var serializer = new RequestSerializer(8);
        serializer.Submit(Write(1, 0, 8));
        Assert.Equal(RequestAdmission.Start, serializer.Submit(Flush(2)));
        Assert.Equal(RequestAdmission.Start, serializer.Submit(Write(3, 8, 8)));
    }

    [Fact]
    public void Held_request_holds_later_ones_that_overlap_it()
    {
        var serializer = new RequestSerializer(8);
        serializer.Submit(Read(1, 0, 8));
        Assert.Equal(RequestAdmission.Held, serializer.Submit(Write(2, 0, 8)));
        Assert.Equal(RequestAdmission.Held, serializer.Submit(Read(3, 0, 8)));   // may not overtake the write
        Assert.Equal([2ul], Ids(serializer.Complete(1)));
        Assert.Equal([3ul], Ids(serializer.Complete(2)));
    }

    [Fact]
    public void One_completion_may_start_several_in_submission_order()
    {
        var serializer = new RequestSerializer(8);
        serializer.Submit(Write(1, 0, 100));
        serializer.Submit(Write(2, 50, 1));
        serializer.Submit(Read(3, 10, 1));
        serializer.Submit(Write(4, 20, 1));
        Assert.Equal([2ul, 3ul, 4ul], Ids(serializer.Complete(1)));
    }

    [Fact]
    public void Limit_duplicates_and_unknown_completions()
    {
        var serializer = new RequestSerializer(2);
        serializer.Submit(Write(1, 0, 1));
        Assert.Equal(RequestAdmission.Duplicate, serializer.Submit(Write(1, 9, 1)));
        Assert.Equal(RequestAdmission.Held, serializer.Submit(Write(2, 0, 1)));
        Assert.Equal(RequestAdmission.Full, serializer.Submit(Write(3, 9, 1)));
        Assert.Empty(serializer.Complete(2));   // held, so it cannot have ended
        Assert.Empty(serializer.Complete(77));
        Assert.Equal((1, 1), (serializer.Running, serializer.Held));
    }

    [Fact]
    public void Range_at_the_end_of_the_address_space_does_not_wrap()
    {
        Assert.False(RequestSerializer.Conflict(Write(1, ulong.MaxValue, 8), Write(2, 0, 8)));
        Assert.True(RequestSerializer.Conflict(Write(1, ulong.MaxValue, 1), Write(2, ulong.MaxValue - 1, 2)));
    }

    /// <summary>Model: run in any order the serializer allows, the disk ends as if requests had run one by one.</summary>
    [Fact]
    public void Any_completion_order_gives_the_disk_and_the_reads_of_serial_execution()
    {
        for (int seed = 1; seed <= 300; seed++)
        {
            var random = new Random(seed);
            var serializer = new RequestSerializer(64);
            int[] serial = new int[16];
            int[] disk = new int[16];
            var running = new List<DiskRequest>();
            var expectedReads = new Dictionary<ulong, int[]>();
            for (ulong id = 1; id <= 60; id++)
            {
                ulong sector = (ulong)random.Next(16);
                uint sectors = (uint)random.Next(1, 17 - (int)sector);
                DiskRequest request = random.Next(2) == 0 ? Read(id, sector, sectors) : Write(id, sector, sectors);
                expectedReads[id] = serial[(int)sector..(int)(sector + sectors)];
                Apply(serial, request);
                if (serializer.Submit(request) == RequestAdmission.Start)
                {
                    running.Add(request);
                }
                if (random.Next(3) == 0)
                {
                    FinishOne();
                }
            }
            while (running.Count > 0)
            {
                FinishOne();
            }
            Assert.True(serial.SequenceEqual(disk), $"seed {seed}: disk differs");
            Assert.Equal(0, serializer.Held);

            void FinishOne()
            {
                if (running.Count == 0)
                {
                    return;
                }
                int pick = random.Next(running.Count);
                DiskRequest done = running[pick];
                running.RemoveAt(pick);
                if (done.Kind == DiskRequestKind.Read)
                {
                    int[] got = disk[(int)done.Sector..(int)(done.Sector + (done.LengthBytes / 512))];
                    Assert.True(expectedReads[done.Id].SequenceEqual(got), $"seed {seed}: read {done.Id} differs");
                }
                Apply(disk, done);
                running.AddRange(serializer.Complete(done.Id));
            }
        }
    }

    private static void Apply(int[] disk, DiskRequest request)
    {
        if (request.Kind == DiskRequestKind.Write)
        {
            Array.Fill(disk, (int)request.Id, (int)request.Sector, (int)(request.LengthBytes / 512));
        }
    }
}
