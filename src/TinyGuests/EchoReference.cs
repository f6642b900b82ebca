using System.Buffers.Binary;

namespace FtAkka.TinyGuests;

/// <summary>Computes on the host what the guest's echo workload answers.</summary>
public sealed class EchoReference(ReadOnlyMemory<byte> guestMac)
{
    private readonly GuestFold _state = new();
    private ulong _sequence;
    private byte[]? _last;

    /// <summary>Requests answered so far, repeats not counted.</summary>
    public ulong Served { get; private set; }

    /// <summary>The state that the next answer continues from.</summary>
    public ulong State => _state.Value;

    /// <summary>The guest's answer to a frame, or null when it gives none.</summary>
    public byte[]? Answer(ReadOnlySpan<byte> frame)
    {
        if (!IsRequest(frame))
        {
            return null;
        }

        ulong sequence = BinaryPrimitives.ReadUInt64LittleEndian(frame[EchoFrame.SequenceOffset..]);
        if (sequence == _sequence)
        {
            return _last;
        }

        if (sequence != _sequence + 1)
        {
            return null;
        }

        int length = BinaryPrimitives.ReadUInt16LittleEndian(frame[EchoFrame.LengthOffset..]);
        byte[] answer = EchoFrame.Start(
            frame[6..12], guestMac.Span, EchoFrame.ResponseMark, sequence, length, EchoFrame.ResponseHeaderBytes);
        _state.Add(sequence);
        for (int i = 0; i < length; i++)
        {
            byte value = frame[EchoFrame.RequestHeaderBytes + i];
            _state.Add(value);
            answer[EchoFrame.ResponseHeaderBytes + i] = (byte)~value;
        }

        _sequence = sequence;
        Served++;
        BinaryPrimitives.WriteUInt64LittleEndian(answer.AsSpan(EchoFrame.ServedOffset), Served);
        BinaryPrimitives.WriteUInt64LittleEndian(answer.AsSpan(EchoFrame.StateOffset), State);
        return _last = answer;
    }

    private static bool IsRequest(ReadOnlySpan<byte> frame) =>
        frame.Length >= EchoFrame.RequestHeaderBytes
        && BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == EchoFrame.EtherType
        && BinaryPrimitives.ReadUInt32LittleEndian(frame[EchoFrame.MarkOffset..]) == EchoFrame.RequestMark
        && BinaryPrimitives.ReadUInt16LittleEndian(frame[EchoFrame.LengthOffset..]) is var length
        && length <= EchoFrame.PayloadBytesMax && EchoFrame.RequestHeaderBytes + length <= frame.Length;
}
