using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Replication.Disks;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>Blocks as they stand in <see cref="Messages.CloneBlocks.Blocks"/>, and hashes as in <see cref="Messages.CloneBlockHashes.Hashes"/>.</summary>
public static class BlockBatch
{
    private const int HeaderBytes = 9;

    /// <summary>Bytes that a block takes.</summary>
    public static int SizeOf(BlockContent block) => HeaderBytes + block.Bytes.Length;

    /// <summary>Writes blocks one behind the other: i64 number, u8 1 if content follows and 0 for zeroes, content. Little-endian.</summary>
    public static ImmutableArray<byte> Write(IReadOnlyList<BlockContent> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        int length = 0;
        foreach (var block in blocks)
            length = checked(length + SizeOf(block));
        var bytes = new byte[length];
        int at = 0;
        foreach (var block in blocks)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), block.Block);
            bytes[at + 8] = block.Bytes.Length > 0 ? (byte)1 : (byte)0;
            block.Bytes.CopyTo(bytes, at + HeaderBytes);
            at += SizeOf(block);
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(bytes);
    }

    /// <summary>Reads blocks; null if the bytes are none, or a block is not one of the disk's.</summary>
    public static IReadOnlyList<BlockContent>? Read(ImmutableArray<byte> bytes, ProtectedDisk disk)
    {
        ArgumentNullException.ThrowIfNull(disk);
        var blocks = new List<BlockContent>();
        long count = DiskBlocks.CountOf(disk);
        int at = 0;
        while (at < bytes.Length)
        {
            if (bytes.Length - at < HeaderBytes)
                return null;
            long block = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan()[at..]);
            byte kind = bytes[at + 8];
            at += HeaderBytes;
            if (kind > 1 || block < 0 || block >= count)
                return null;
            int content = kind == 1 ? DiskBlocks.LengthOf(disk, block) : 0;
            if (bytes.Length - at < content)
                return null;
            blocks.Add(new BlockContent(block, bytes.AsSpan(at, content).ToImmutableArray()));
            at += content;
        }
        return blocks;
    }

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
