using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Replication.Disks;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>Blocks as they stand in <see cref="Messages.CloneBlocks.Blocks"/>, and hashes as in <see cref="Messages.CloneBlockHashes.Hashes"/>.</summary>
public static class BlockBatch
{
    /// <summary>Writes blocks one behind the other.</summary>
    public static ImmutableArray<byte> Write(IReadOnlyList<BlockContent> blocks) => NumberedContents.Write(blocks, block => (block.Block, block.Bytes));

    /// <summary>Reads blocks; null if the bytes are none, or a block is not one of the disk's.</summary>
    public static IReadOnlyList<BlockContent>? Read(ImmutableArray<byte> bytes, ProtectedDisk disk) =>
        NumberedContents.Read(bytes, DiskBlocks.CountOf(disk), block => DiskBlocks.LengthOf(disk, block), (block, content) => new BlockContent(block, content));

    /// <summary>Writes hashes one behind the other, little-endian.</summary>
    public static ImmutableArray<byte> WriteHashes(IReadOnlyList<BlockHash> hashes)
    {
        ArgumentNullException.ThrowIfNull(hashes);
        var bytes = new byte[hashes.Count * BlockHash.SizeBytes];
        for (int i = 0; i < hashes.Count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * BlockHash.SizeBytes), hashes[i].Low);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan((i * BlockHash.SizeBytes) + 8), hashes[i].High);
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(bytes);
    }

    /// <summary>Reads hashes of blocks from one on; null if the bytes are none, or not all of the blocks are the disk's.</summary>
    public static IReadOnlyList<BlockHash>? ReadHashes(ImmutableArray<byte> bytes, ProtectedDisk disk, long first)
    {
        ArgumentNullException.ThrowIfNull(disk);
        int count = bytes.Length / BlockHash.SizeBytes;
        if (bytes.Length % BlockHash.SizeBytes != 0 || count == 0 || first < 0 || first > DiskBlocks.CountOf(disk) - count)
            return null;
        var hashes = new BlockHash[count];
        for (int i = 0; i < count; i++)
        {
            var at = bytes.AsSpan()[(i * BlockHash.SizeBytes)..];
            hashes[i] = new BlockHash(BinaryPrimitives.ReadUInt64LittleEndian(at), BinaryPrimitives.ReadUInt64LittleEndian(at[8..]));
        }
        return hashes;
    }
}
