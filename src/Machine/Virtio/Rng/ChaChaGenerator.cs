using System.Buffers.Binary;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Virtio.Rng;

/// <summary>
/// A stream of random bytes that is a function of its 256-bit key and the position: the ChaCha20 block function (RFC 8439 §2.3) with
/// a 64-bit block counter and a zero nonce. Both replicas start from the same key and stay equal; whoever does not know the key
/// cannot foresee the guest's randomness.
/// </summary>
public sealed class ChaChaGenerator : ISnapshotable
{
    /// <summary>Length of a key.</summary>
    public const int KeyBytes = 32;

    private const int BlockBytes = 64;
    private const string SectionTag = "CHA2";
    private const ushort SectionVersion = 1;

    private readonly byte[] key = new byte[KeyBytes];
    private readonly byte[] block = new byte[BlockBytes];
    private ulong nextBlock;
    private int used = BlockBytes;

    /// <summary>A stream from its start.</summary>
    /// <param name="key"><see cref="KeyBytes"/> bytes; secret if the guest's randomness is to be.</param>
    public ChaChaGenerator(ReadOnlySpan<byte> key)
    {
        if (key.Length != KeyBytes)
        {
            throw new ArgumentException($"The key has {key.Length} bytes instead of {KeyBytes}.", nameof(key));
        }
        key.CopyTo(this.key);
    }

    /// <summary>A stream for tests and reproducible runs, whose key is the number and zeroes.</summary>
    public static ChaChaGenerator FromSeed(ulong seed)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        key.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(key, seed);
        return new ChaChaGenerator(key);
    }

    /// <summary>The next bytes of the stream, the same however they are cut into calls.</summary>
    public void Fill(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (used == BlockBytes)
            {
                ComputeBlock(nextBlock++);
                used = 0;
            }
            int length = Math.Min(destination.Length, BlockBytes - used);
            block.AsSpan(used, length).CopyTo(destination);
            used += length;
            destination = destination[length..];
        }
    }

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteFixed(key);
        writer.WriteUInt64(nextBlock);
        writer.WriteByte((byte)used);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        reader.ReadFixed(key);
        nextBlock = reader.ReadUInt64();
        byte position = reader.ReadByte();
        reader.Require(position == BlockBytes || (position < BlockBytes && nextBlock > 0));
        used = Math.Min((int)position, BlockBytes);
        if (reader.Ok && used < BlockBytes)
        {
            ComputeBlock(nextBlock - 1);
        }
        return reader.EndSection();
    }

    private void ComputeBlock(ulong counter)
    {
        Span<uint> input = stackalloc uint[16];
        input[0] = 0x6170_7865;   // "expand 32-byte k"
        input[1] = 0x3320_646E;
        input[2] = 0x7962_2D32;
        input[3] = 0x6B20_6574;
        for (int i = 0; i < 8; i++)
        {
            input[4 + i] = BinaryPrimitives.ReadUInt32LittleEndian(key.AsSpan(4 * i));
        }
        input[12] = (uint)counter;
        input[13] = (uint)(counter >> 32);
        input[14] = input[15] = 0;
        Span<uint> state = stackalloc uint[16];
        input.CopyTo(state);
        for (int round = 0; round < 10; round++)
        {
            QuarterRound(state, 0, 4, 8, 12);
            QuarterRound(state, 1, 5, 9, 13);
            QuarterRound(state, 2, 6, 10, 14);
            QuarterRound(state, 3, 7, 11, 15);
            QuarterRound(state, 0, 5, 10, 15);
            QuarterRound(state, 1, 6, 11, 12);
            QuarterRound(state, 2, 7, 8, 13);
            QuarterRound(state, 3, 4, 9, 14);
        }
        for (int i = 0; i < 16; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(4 * i), unchecked(state[i] + input[i]));
        }
    }

    private static void QuarterRound(Span<uint> state, int a, int b, int c, int d)
    {
        unchecked
        {
            state[a] += state[b];
            state[d] = uint.RotateLeft(state[d] ^ state[a], 16);
            state[c] += state[d];
            state[b] = uint.RotateLeft(state[b] ^ state[c], 12);
            state[a] += state[b];
            state[d] = uint.RotateLeft(state[d] ^ state[a], 8);
            state[c] += state[d];
            state[b] = uint.RotateLeft(state[b] ^ state[c], 7);
        }
    }
}
