using System.Collections.Immutable;
using FtAkka.DeviceActors.Disks;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeviceActors.Tests.Disks;

/// <summary>Raw images in real files.</summary>
public sealed class RawDiskImageTests : IDisposable
{
    private const int Sector = 512;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string NewFile(int bytes, byte fill = 0xEE)
    {
        string path = folder.File($"{Guid.NewGuid():N}.img");
        byte[] content = new byte[bytes];
        Array.Fill(content, fill);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static DiskRequest Read(ulong sector, uint sectors) => new(1, DiskRequestKind.Read, sector, sectors * 512ul, []);

    private static DiskRequest Write(ulong sector, byte[] data) => new(2, DiskRequestKind.Write, sector, (ulong)data.Length, [.. data]);

    private static byte[] Pattern(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 11) + seed))];

    [Fact]
    public async Task Written_sectors_read_back_and_stand_at_their_place_in_the_file()
    {
        string path = NewFile(64 * Sector);
        using (RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path)))
        {
            Assert.Equal(64ul, image.CapacitySectors);
            DiskOutcome write = await image.ExecuteAsync(Write(10, Pattern(1024, 1)));
            Assert.Equal((2ul, DiskStatus.Ok, null), (write.Completion.Id, write.Completion.Status, write.HostError));
            DiskOutcome read = await image.ExecuteAsync(Read(9, 4));
            Assert.Equal([.. Enumerable.Repeat((byte)0xEE, 512), .. Pattern(1024, 1), .. Enumerable.Repeat((byte)0xEE, 512)], read.Completion.Data.ToArray());
        }
        Assert.Equal(Pattern(1024, 1), File.ReadAllBytes(path)[(10 * Sector)..(12 * Sector)]);
        Assert.Equal(64 * Sector, new FileInfo(path).Length);
    }

    [Fact]
    public async Task Write_through_leaves_no_write_in_the_hosts_memory()
    {
        string path = NewFile(64 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = false, WriteThrough = true });
        Assert.Null(image.TryExecuteAtOnce(Write(10, Pattern(1024, 1))));
        string flags = File.ReadAllLines($"/proc/self/fdinfo/{Descriptor(path)}").First(line => line.StartsWith("flags:", StringComparison.Ordinal));
        Assert.NotEqual(0, Convert.ToInt32(flags["flags:".Length..].Trim(), 8) & 0x1000);   // O_DSYNC, part of O_SYNC
        Assert.Equal(DiskStatus.Ok, (await image.ExecuteAsync(Write(10, Pattern(1024, 1)))).Completion.Status);
        Assert.Equal(Pattern(1024, 1), File.ReadAllBytes(path)[(10 * Sector)..(12 * Sector)]);
    }

    private static string Descriptor(string path) => Path.GetFileName(
        Directory.GetFiles("/proc/self/fd").First(link => File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName == path));

    [Fact]
    public void Data_in_the_hosts_memory_is_read_and_written_at_once()
    {
        string path = NewFile(64 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = false });
        Assert.Equal(DiskStatus.Ok, image.TryExecuteAtOnce(Write(10, Pattern(1024, 1)))!.Completion.Status);
        // The host may have dropped the pages, in which case a read has to wait.
        if (image.TryExecuteAtOnce(Read(9, 4)) is { } read)
        {
            Assert.Equal([.. Enumerable.Repeat((byte)0xEE, 512), .. Pattern(1024, 1), .. Enumerable.Repeat((byte)0xEE, 512)], read.Completion.Data.ToArray());
        }
        Assert.Equal(Pattern(1024, 1), File.ReadAllBytes(path)[(10 * Sector)..(12 * Sector)]);
    }

    [Fact]
    public void What_waits_for_the_storage_or_is_refused_is_not_done_at_once()
    {
        string path = NewFile(8 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = false });
        using RawDiskImage shortFile = RawDiskImage.Open(new RawDiskOptions(NewFile(100)));
        Assert.Null(image.TryExecuteAtOnce(new DiskRequest(3, DiskRequestKind.Flush, 0, 0, [])));
        Assert.Null(image.TryExecuteAtOnce(new DiskRequest(4, DiskRequestKind.Discard, 0, 512, [])));
        Assert.Null(image.TryExecuteAtOnce(Read(8, 1)));
        Assert.Null(image.TryExecuteAtOnce(Write(ulong.MaxValue, new byte[512])));
        Assert.Null(shortFile.TryExecuteAtOnce(Read(0, 1)));
        Assert.All(File.ReadAllBytes(path), b => Assert.Equal(0xEE, b));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Image_may_be_closed_by_whoever_learns_of_a_requests_end(int concurrentRequests)
    {
        string path = NewFile(8 * Sector);
        RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ConcurrentRequests = concurrentRequests });
        Task<DiskOutcome>? later = null;
        await image.ExecuteAsync(new DiskRequest(3, DiskRequestKind.Flush, 0, 0, []))
            .ContinueWith(_ => CloseBehindAnother(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default)
            .WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(DiskStatus.Ok, (await later!).Completion.Status);
        Assert.Equal(DiskStatus.IoError, (await image.ExecuteAsync(Read(0, 1))).Completion.Status);

        void CloseBehindAnother()
        {
            later = image.ExecuteAsync(Read(0, 1));
            image.Dispose();
            Assert.NotEmpty(File.ReadAllBytes(path));   // an open image is locked
        }
    }

    [Fact]
    public async Task Bytes_beyond_the_end_of_the_file_read_as_zero()
    {
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(NewFile(Sector + 100)));
        Assert.Equal(2ul, image.CapacitySectors);
        DiskOutcome read = await image.ExecuteAsync(Read(1, 1));
        Assert.Equal(DiskStatus.Ok, read.Completion.Status);
        Assert.Equal([.. Enumerable.Repeat((byte)0xEE, 100), .. new byte[412]], read.Completion.Data.ToArray());
    }

    [Fact]
    public async Task File_cut_short_by_somebody_else_reads_as_zero()
    {
        string path = NewFile(8 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = false });
        using (FileStream other = File.Open(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            other.SetLength(Sector);
        }
        DiskOutcome read = await image.ExecuteAsync(Read(0, 2));
        Assert.Equal([.. Enumerable.Repeat((byte)0xEE, 512), .. new byte[512]], read.Completion.Data.ToArray());
    }

    [Theory]
    [InlineData(8ul, 1u)]
    [InlineData(7ul, 2u)]
    [InlineData(ulong.MaxValue, 1u)]
    public async Task Requests_outside_the_image_fail_and_change_nothing(ulong sector, uint sectors)
    {
        string path = NewFile(8 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path));
        Assert.Equal(DiskStatus.IoError, (await image.ExecuteAsync(Read(sector, sectors))).Completion.Status);
        Assert.Equal(DiskStatus.IoError, (await image.ExecuteAsync(Write(sector, new byte[sectors * Sector]))).Completion.Status);
        Assert.Equal(8 * Sector, new FileInfo(path).Length);
    }

    [Fact]
    public async Task Read_only_image_refuses_writes_with_the_reason()
    {
        string path = NewFile(8 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { ReadOnly = true });
        DiskOutcome write = await image.ExecuteAsync(Write(0, new byte[512]));
        Assert.Equal((DiskStatus.IoError, "The disk image is read-only."), (write.Completion.Status, write.HostError));
        Assert.Equal(DiskStatus.IoError, (await image.ExecuteAsync(new DiskRequest(3, DiskRequestKind.Discard, 0, 512, []))).Completion.Status);
        Assert.Equal(DiskStatus.Ok, (await image.ExecuteAsync(new DiskRequest(4, DiskRequestKind.Flush, 0, 0, []))).Completion.Status);
        Assert.Equal(DiskStatus.Ok, (await image.ExecuteAsync(Read(0, 8))).Completion.Status);
    }

    [Theory]
    [InlineData(DiskRequestKind.Discard, false)]
    [InlineData(DiskRequestKind.WriteZeroes, true)]
    [InlineData(DiskRequestKind.WriteZeroes, false)]
    public async Task Discard_and_write_zeroes_leave_zeroes_in_their_range_only(DiskRequestKind kind, bool mayUnmap)
    {
        string path = NewFile(4 * 1024 * 1024);
        using (RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path)))
        {
            ImmutableArray<byte> none = [];
            DiskOutcome outcome = await image.ExecuteAsync(new DiskRequest(5, kind, 1, 3 * 1024 * 1024, none, mayUnmap));
            Assert.Equal(DiskStatus.Ok, outcome.Completion.Status);
            Assert.Equal(DiskStatus.Ok, (await image.ExecuteAsync(new DiskRequest(6, DiskRequestKind.Flush, 0, 0, []))).Completion.Status);
        }
        byte[] content = File.ReadAllBytes(path);
        Assert.Equal(4 * 1024 * 1024, content.Length);
        Assert.All(content[..Sector], b => Assert.Equal(0xEE, b));
        Assert.True(content.AsSpan(Sector, 3 * 1024 * 1024).IndexOfAnyExcept((byte)0) < 0);
        Assert.True(content.AsSpan(Sector + (3 * 1024 * 1024)).IndexOfAnyExcept((byte)0xEE) < 0);
    }

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(false, false, false)]
    public void Image_is_opened_twice_only_if_both_share_it(bool firstExclusive, bool secondExclusive, bool refused)
    {
        string path = NewFile(8 * Sector);
        using RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = firstExclusive });
        Exception? outcome = Record.Exception(() => RawDiskImage.Open(new RawDiskOptions(path) { Exclusive = secondExclusive }).Dispose());
        Assert.Equal(refused, outcome is IOException);
    }

    [Theory]
    [InlineData("qcow2", 0, "514649FB00000003")]
    [InlineData("VHDX", 0, "7668647866696C65")]
    [InlineData("VHD", 0, "636F6E6563746978")]
    [InlineData("VMDK", 0, "4B444D5601000000")]
    [InlineData("VDI", 64, "7F10DABE01000100")]
    public void Image_of_another_format_is_refused_unless_raw_was_asked_for(string format, int offset, string mark)
    {
        string path = NewFile(8 * Sector, fill: 0);
        using (FileStream file = File.OpenWrite(path))
        {
            file.Position = offset;
            file.Write(Convert.FromHexString(mark));
        }
        IOException refused = Assert.Throws<IOException>(() => RawDiskImage.Open(new RawDiskOptions(path) { RefuseOtherFormats = true }));
        Assert.Contains($"looks like a {format} image", refused.Message, StringComparison.Ordinal);
        RawDiskImage.Open(new RawDiskOptions(path)).Dispose();
        RawDiskImage.Open(new RawDiskOptions(NewFile(100)) { RefuseOtherFormats = true }).Dispose();
    }

    [Fact]
    public void What_cannot_be_a_disk_is_refused()
    {
        Assert.ThrowsAny<IOException>(() => RawDiskImage.Open(new RawDiskOptions(folder.File("missing"))));
        Assert.ThrowsAny<IOException>(() => RawDiskImage.Open(new RawDiskOptions(NewFile(0))));
        Assert.Throws<ArgumentException>(() => RawDiskImage.Open(new RawDiskOptions(NewFile(512)) { ConcurrentRequests = 0 }));
    }

    [Fact]
    public async Task Closed_image_finishes_what_it_has_and_fails_what_comes_later()
    {
        RawDiskImage image = RawDiskImage.Open(new RawDiskOptions(NewFile(64 * Sector)));
        Task<DiskOutcome>[] early = [.. Enumerable.Range(0, 32).Select(i => image.ExecuteAsync(Write((ulong)i, new byte[512])))];
        image.Dispose();
        Assert.All(await Task.WhenAll(early), o => Assert.Equal(DiskStatus.Ok, o.Completion.Status));
        Assert.Equal(DiskStatus.IoError, (await image.ExecuteAsync(Read(0, 1))).Completion.Status);
    }
}
