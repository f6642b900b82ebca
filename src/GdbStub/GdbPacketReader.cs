namespace FtAkka.GdbStub;

/// <summary>What came from gdb.</summary>
internal enum GdbInputKind
{
    /// <summary>A packet whose checksum is right.</summary>
    Packet,
    /// <summary>A packet whose checksum is wrong: to be asked for again.</summary>
    BadPacket,
    /// <summary>Ctrl-C.</summary>
    Interrupt,
    /// <summary>The other side asks for the last packet again.</summary>
    Resend,
}

/// <summary>One thing that came from gdb.</summary>
/// <param name="Kind">What.</param>
/// <param name="Payload">Content of a packet, escapes undone.</param>
internal readonly record struct GdbInput(GdbInputKind Kind, byte[] Payload);

/// <summary>
/// Takes gdb's remote serial protocol apart (GDB manual, "Remote Protocol", Overview): <c>$data#checksum</c>, with <c>}</c> before escaped bytes.
/// </summary>
internal sealed class GdbPacketReader
{
    /// <summary>Longest packet taken; more is dropped up to the next packet.</summary>
    public const int PacketBytesMax = 64 << 10;

    private readonly List<byte> _data = [];
    private byte _sum;
    private State _state;
    private int _checksum;
    private bool _escaped;

    private enum State
    {
        Outside,
        Data,
        FirstDigit,
        SecondDigit,
    }

    /// <summary>Takes one byte; returns what it completes, or null.</summary>
    public GdbInput? Take(byte value)
    {
        switch (_state)
        {
            case State.Data:
                TakeData(value);
                return null;
            case State.FirstDigit:
                _checksum = Hex.Digit(value) << 4;
                _state = State.SecondDigit;
                return null;
            case State.SecondDigit:
                _state = State.Outside;
                bool good = (_checksum | Hex.Digit(value)) == _sum && _data.Count <= PacketBytesMax;
                return new GdbInput(good ? GdbInputKind.Packet : GdbInputKind.BadPacket, good ? _data.ToArray() : []);
            default:
                return TakeOutside(value);
        }
    }

    /// <summary>A packet ready to send.</summary>
    public static byte[] Frame(ReadOnlySpan<byte> payload)
    {
        var frame = new List<byte>(payload.Length + 4) { (byte)'$' };
        byte sum = 0;
        foreach (byte value in payload)
        {
            if (value is (byte)'#' or (byte)'$' or (byte)'}' or (byte)'*')
            {
                frame.Add((byte)'}');
                frame.Add((byte)(value ^ 0x20));
                sum = unchecked((byte)(sum + '}' + (value ^ 0x20)));
                continue;
            }
            frame.Add(value);
            sum = unchecked((byte)(sum + value));
        }
        frame.Add((byte)'#');
        frame.Add((byte)Hex.Digits[sum >> 4]);
        frame.Add((byte)Hex.Digits[sum & 15]);
        return frame.ToArray();
    }

    private GdbInput? TakeOutside(byte value)
    {
        switch (value)
        {
            case (byte)'$':
                _state = State.Data;
                _data.Clear();
                (_sum, _escaped) = (0, false);
                return null;
            case 3:
                return new GdbInput(GdbInputKind.Interrupt, []);
            case (byte)'-':
                return new GdbInput(GdbInputKind.Resend, []);
            default:
                return null;
        }
    }

    private void TakeData(byte value)
    {
        if (value == '#')
        {
            _state = State.FirstDigit;
            return;
        }
        _sum = unchecked((byte)(_sum + value));
        if (value == '}' && !_escaped)
        {
            _escaped = true;
            return;
        }
        if (_data.Count <= PacketBytesMax)
            _data.Add(_escaped ? (byte)(value ^ 0x20) : value);
        _escaped = false;
    }
}
