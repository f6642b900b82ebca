using System.Buffers.Binary;

namespace FtAkka.TinyGuests;

/// <summary>
/// Frames of the echo workload, EtherType 0x88B5 (IEEE 802, local experimental). Request: addresses, type, mark, sequence (8),
/// payload length (2), payload. Response: the same with its own mark, then requests answered so far (8), state (8) and the payload
/// with all bits turned. Numbers are little-endian. Sequences start at 1; the state folds all sequences and payloads in order.
/// </summary>
public static class EchoFrame
{
    /// <summary>The type as it stands in the frame: 88 B5.</summary>
    public const ushort EtherType = 0x88b5;

    /// <summary>Most payload bytes that the guest answers.</summary>
    public const int PayloadBytesMax = 1400;

    internal const ushort EtherTypeLittleEndian = 0xb588;
    internal const int MarkOffset = 14;
    internal const int SequenceOffset = 18;
    internal const int LengthOffset = 26;
    internal const int RequestHeaderBytes = 28;
    internal const int ServedOffset = 28;
    internal const int StateOffset = 36;
    internal const int ResponseHeaderBytes = 44;
    internal const int FrameBytesMin = 60;
    internal const uint RequestMark = 0x5152_5446; // "FTRQ"
    internal const uint ResponseMark = 0x5352_5446; // "FTRS"
    internal const uint ReportMark = 0x5052_5446; // "FTRP"

    /// <summary>A request to the guest, padded to the least frame size.</summary>
    public static byte[] Request(ReadOnlySpan<byte> guestMac, ReadOnlySpan<byte> ownMac, ulong sequence, ReadOnlySpan<byte> payload)
    {
        byte[] frame = Start(guestMac, ownMac, RequestMark, sequence, payload.Length, RequestHeaderBytes);
        payload.CopyTo(frame.AsSpan(RequestHeaderBytes));
        return frame;
    }

    /// <summary>Addresses and fields common to both directions.</summary>
    internal static byte[] Start(
        ReadOnlySpan<byte> target, ReadOnlySpan<byte> source, uint mark, ulong sequence, int payloadBytes, int headerBytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payloadBytes, PayloadBytesMax);
        byte[] frame = new byte[Math.Max(FrameBytesMin, headerBytes + payloadBytes)];
        target[..6].CopyTo(frame);
        source[..6].CopyTo(frame.AsSpan(6));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), EtherType);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(MarkOffset), mark);
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(SequenceOffset), sequence);
        BinaryPrimitives.WriteUInt16LittleEndian(frame.AsSpan(LengthOffset), (ushort)payloadBytes);
        return frame;
    }
}
