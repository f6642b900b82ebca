using System.Buffers.Binary;

namespace FtAkka.Machine.Virtio.Queues;

/// <summary>One entry of the descriptor table (virtio 1.2 §2.7.5, <c>struct virtq_desc</c>), little-endian.</summary>
/// <param name="Address">Guest physical address of the buffer.</param>
/// <param name="LengthBytes">Length of the buffer.</param>
/// <param name="Flags">Bits <see cref="FlagNext"/>, <see cref="FlagWrite"/> and <see cref="FlagIndirect"/>; others are ignored.</param>
/// <param name="Next">Index of the next descriptor, if <see cref="FlagNext"/> is set.</param>
public readonly record struct Descriptor(ulong Address, uint LengthBytes, ushort Flags, ushort Next)
{
    /// <summary>Size of an entry in guest memory.</summary>
    public const int SizeBytes = 16;

    /// <summary><c>VIRTQ_DESC_F_NEXT</c>: the buffer continues at <see cref="Next"/>.</summary>
    public const ushort FlagNext = 1;

    /// <summary><c>VIRTQ_DESC_F_WRITE</c>: the buffer is device-writable (otherwise device-readable).</summary>
    public const ushort FlagWrite = 2;

    /// <summary><c>VIRTQ_DESC_F_INDIRECT</c>: the buffer holds a table of descriptors.</summary>
    public const ushort FlagIndirect = 4;

    /// <summary>True if the chain goes on at <see cref="Next"/>.</summary>
    public bool HasNext => (Flags & FlagNext) != 0;

    /// <summary>True if the device may only write the buffer.</summary>
    public bool IsWritable => (Flags & FlagWrite) != 0;

    /// <summary>True if the buffer is a table of descriptors.</summary>
    public bool IsIndirect => (Flags & FlagIndirect) != 0;

    /// <summary>Decodes the first <see cref="SizeBytes"/> bytes of <paramref name="source"/>.</summary>
    public static Descriptor Decode(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(source),
        BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
        BinaryPrimitives.ReadUInt16LittleEndian(source[12..]),
        BinaryPrimitives.ReadUInt16LittleEndian(source[14..]));

    /// <summary>Encodes into the first <see cref="SizeBytes"/> bytes of <paramref name="destination"/>.</summary>
    public void Encode(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, Address);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], LengthBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[12..], Flags);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[14..], Next);
    }
}
