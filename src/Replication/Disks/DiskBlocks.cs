using FtAkka.Machine.Digest;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Disks;

/// <summary>A hash of a block's content, wide enough that two contents that a copy meets do not share one.</summary>
public readonly record struct BlockHash(ulong Low, ulong High)
{
    /// <summary>Bytes of one in a message.</summary>
    public const int SizeBytes = 16;

    private const ulong SecondSeed = 0x9E37_79B9_7F4A_7C15;

    /// <summary>The hash of a content. Zeroes, of which most disks have many, have one that costs no more than looking at them.</summary>
    public static BlockHash Of(ReadOnlySpan<byte> content) => content.IndexOfAnyExcept((byte)0) < 0
        ? default : new(XxHash64.Hash(content, 0), XxHash64.Hash(content, SecondSeed));
}

/// <summary>A disk as its resynchronisation sees it: blocks of 64 KiB, the last of which may be shorter.</summary>
public static class DiskBlocks
{
    /// <summary>Size of a block.</summary>
    public const int BlockBytes = 64 << 10;

    /// <summary>Sectors of a block.</summary>
    public const int BlockSectors = BlockBytes / (int)BlockProtocol.SectorBytes;

    /// <summary>Requests of a resynchronisation have numbers from here on; the guest's are below.</summary>
    public const ulong FirstRequestId = 1UL << 63;

    /// <summary>Blocks of a disk, numbered from 0.</summary>
    public static long CountOf(ProtectedDisk disk)
    {
        ArgumentNullException.ThrowIfNull(disk);
        return checked((long)((disk.CapacitySectors + BlockSectors - 1) / BlockSectors));
    }

    /// <summary>Bytes of so many blocks from one on.</summary>
    public static int LengthOf(ProtectedDisk disk, long first, int count = 1)
    {
        ArgumentNullException.ThrowIfNull(disk);
        ulong start = (ulong)first * BlockSectors;
        ulong end = Math.Min(disk.CapacitySectors, ((ulong)first + (ulong)count) * BlockSectors);
        return checked((int)((end - start) * BlockProtocol.SectorBytes));
    }
}

/// <summary>Content of a block.</summary>
/// <param name="Block">Its number.</param>
/// <param name="Bytes">As long as the block is; empty for zeroes.</param>
public readonly record struct BlockContent(long Block, System.Collections.Immutable.ImmutableArray<byte> Bytes);

/// <summary>Which block of which disk.</summary>
public readonly record struct BlockPlace(int Disk, long Block);
