using System.Buffers.Binary;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>What stands next on a connection.</summary>
internal enum FrameKind
{
    /// <summary>The end of the stream.</summary>
    End,

    /// <summary>A unit of Akka's protocol.</summary>
    Unit,

    /// <summary>The peer heard nothing for a while and wants an answer.</summary>
    Ping,

    /// <summary>The answer to a ping.</summary>
    Pong,

    /// <summary>The peer has bulk messages to send and asks the side that dialled for the second connection.</summary>
    OpenBulk,

    /// <summary>A length of nothing, above the limit, or of a kind that is not known.</summary>
    Refused,
}

/// <summary>
/// Frames on a connection: a 32-bit little-endian length and that many bytes, a unit of Akka's protocol. A word whose upper 24 bits are
/// ones is no length but one of the connection's own signals, without bytes.
/// </summary>
internal static class FrameFormat
{
    public const int HeaderBytes = 4;
    private const uint SignalBase = 0xFFFF_FF00;

    public static uint Signal(FrameKind kind) => SignalBase | (uint)kind;

    public static FrameKind Read(uint word, int maximum)
    {
        if (word >= SignalBase)
        {
            var kind = (FrameKind)(word & 0xFF);
            return kind is FrameKind.Ping or FrameKind.Pong or FrameKind.OpenBulk ? kind : FrameKind.Refused;
        }

        return word == 0 || word > (uint)maximum ? FrameKind.Refused : FrameKind.Unit;
    }
}

/// <summary>Cuts a connection's bytes into frames. For one thread.</summary>
/// <param name="source">The bytes.</param>
/// <param name="maximumBytes">See <see cref="MaximumBytes"/>.</param>
/// <param name="bufferBytes">Bytes read ahead at most.</param>
internal sealed class FrameReader(IByteSource source, int maximumBytes, int bufferBytes = 64 * 1024)
{
    private readonly byte[] _buffer = new byte[bufferBytes];
    private int _start;
    private int _end;

    /// <summary>Longest unit; may be raised between frames.</summary>
    public int MaximumBytes { get; set; } = maximumBytes;

    /// <summary>The word of a frame that was refused.</summary>
    public uint RefusedWord { get; private set; }

    /// <summary>Waits for the next frame.</summary>
    /// <param name="unit">The unit's bytes, in an array of their own that the caller may keep.</param>
    public FrameKind Next(out byte[] unit)
    {
        unit = [];
        if (!Fill(FrameFormat.HeaderBytes))
        {
            return FrameKind.End;
        }

        var word = BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_start));
        _start += FrameFormat.HeaderBytes;
        var kind = FrameFormat.Read(word, MaximumBytes);
        if (kind == FrameKind.Refused)
        {
            RefusedWord = word;
        }

        return kind != FrameKind.Unit || TryRead((int)word, out unit) ? kind : FrameKind.End;
    }

    /// <summary>Waits for some bytes before the first frame.</summary>
    public bool TryReadExactly(Span<byte> destination)
    {
        if (!Fill(destination.Length))
        {
            return false;
        }

        _buffer.AsSpan(_start, destination.Length).CopyTo(destination);
        _start += destination.Length;
        return true;
    }

    private bool TryRead(int length, out byte[] unit)
    {
        unit = GC.AllocateUninitializedArray<byte>(length);
        var filled = Math.Min(length, _end - _start);
        _buffer.AsSpan(_start, filled).CopyTo(unit);
        _start += filled;
        while (length - filled >= _buffer.Length)
        {
            var read = source.Read(unit, filled, length - filled);
            if (read == 0)
            {
                return false;
            }

            filled += read;
        }

        if (filled == length)
        {
            return true;
        }

        if (!Fill(length - filled))
        {
            return false;
        }

        _buffer.AsSpan(_start, length - filled).CopyTo(unit.AsSpan(filled));
        _start += length - filled;
        return true;
    }

    /// <summary>Reads until so many bytes are in the buffer, which they must fit into; false at the end of the stream.</summary>
    private bool Fill(int wanted)
    {
        while (_end - _start < wanted)
        {
            if (_start == _end)
            {
                _start = _end = 0;
            }
            else if (_buffer.Length - _start < wanted)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            var read = source.Read(_buffer, _end, _buffer.Length - _end);
            if (read == 0)
            {
                return false;
            }

            _end += read;
        }

        return true;
    }
}
