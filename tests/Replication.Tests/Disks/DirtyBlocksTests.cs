using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Replication.Tests.Disks;

/// <summary>Which blocks of separate disks a copy has to send again.</summary>
public sealed class DirtyBlocksTests
{
    private static readonly ProtectedDisk Separate = new(1000, DiskSharing.Separate);
    private static readonly DirtyBlocks Dirty = new([new ProtectedDisk(1000), Separate]);

    private static DiskRequest Request(DiskRequestKind kind, ulong sector, ulong bytes) => new(1, kind, sector, bytes, []);

    [Fact]
    public void A_change_marks_every_block_it_touches_once()
    {
        Dirty.Mark(1, Request(DiskRequestKind.Write, 127, 1024));
        Dirty.Mark(1, Request(DiskRequestKind.Discard, 999, 512));
        Dirty.Mark(1, Request(DiskRequestKind.WriteZeroes, 128, 512));

        Assert.Equal([new(1, 0), new(1, 1), new(1, 7)], Dirty.Collect());
        Assert.Empty(Dirty.Collect());
    }

    [Fact]
    public void Reads_flushes_and_shared_disks_mark_nothing()
    {
        Dirty.Mark(1, Request(DiskRequestKind.Read, 0, 512));
        Dirty.Mark(1, Request(DiskRequestKind.Flush, 0, 0));
        Dirty.Mark(0, Request(DiskRequestKind.Write, 0, 512));

        Assert.Empty(Dirty.Collect());
    }

    [Fact]
    public void The_last_block_is_as_long_as_what_is_left_of_the_disk()
    {
        Assert.Equal(8, DiskBlocks.CountOf(Separate));
        Assert.Equal(DiskBlocks.BlockBytes, DiskBlocks.LengthOf(Separate, 6));
        Assert.Equal((1000 - (7 * 128)) * 512, DiskBlocks.LengthOf(Separate, 7));
    }

    [Fact]
    public void Hashes_tell_contents_apart_and_zeroes_from_all_others()
    {
        byte[] zeroes = new byte[DiskBlocks.BlockBytes], one = new byte[DiskBlocks.BlockBytes], other = new byte[DiskBlocks.BlockBytes];
        (one[0], other[^1]) = (1, 1);
        Assert.Equal(default, BlockHash.Of(zeroes));
        Assert.Equal(4, new[] { BlockHash.Of(zeroes), BlockHash.Of(one), BlockHash.Of(other), BlockHash.Of(one.AsSpan(0, 512)) }.Distinct().Count());
    }

    [Fact]
    public void Blocks_and_hashes_come_back_and_nonsense_does_not()
    {
        var last = new byte[DiskBlocks.LengthOf(Separate, 7)];
        last[5] = 1;
        BlockContent[] blocks = [new(0, []), new(7, [.. last])];
        var batch = BlockBatch.Write(blocks);

        Assert.Equal<byte>(last, BlockBatch.Read(batch, Separate)![1].Bytes);
        Assert.Equal([0L, 7L], BlockBatch.Read(batch, Separate)!.Select(block => block.Block));
        Assert.Null(BlockBatch.Read(batch[..^1], Separate));
        Assert.Null(BlockBatch.Read([.. batch, 1], Separate));
        Assert.Null(BlockBatch.Read(BlockBatch.Write([new(8, [])]), Separate));

        var hashes = BlockBatch.WriteHashes([BlockHash.Of(last), BlockHash.Of([])]);
        Assert.Equal([BlockHash.Of(last), BlockHash.Of([])], BlockBatch.ReadHashes(hashes, Separate, 6));
        Assert.Null(BlockBatch.ReadHashes(hashes, Separate, 7));
        Assert.Null(BlockBatch.ReadHashes(hashes, Separate, -1));
        Assert.Null(BlockBatch.ReadHashes(hashes[..^1], Separate, 0));
        Assert.Null(BlockBatch.ReadHashes([], Separate, 0));
    }
}
