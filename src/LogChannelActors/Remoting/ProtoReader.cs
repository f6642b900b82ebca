namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Reads the fields of one protobuf message from untrusted bytes, without copying. It is stricter than protobuf asks: every field at most once
/// unless it says so, no padded numbers, field numbers up to 15. Then two readers cannot see two different messages in the same bytes.
/// The first failure sticks; every later read gives a default value.
/// </summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> source)
{
    private const int LongestVarint = 10;
    private const int FieldsInOneByte = 16;

    private ReadOnlySpan<byte> rest = source;
    private uint seen;

    /// <summary>What went wrong first, or null.</summary>
    public string? Why { get; private set; }

    /// <summary>Moves to the next field: false at the end and after a failure.</summary>
    /// <param name="tag">Field number times 8 plus wire type; 0 is none that a message has.</param>
    /// <param name="repeated">Number of the field that may come more than once, or 0.</param>
    public bool Next(out byte tag, int repeated = 0)
    {
        tag = 0;
        if (Why is not null || rest.IsEmpty)
        {
            return false;
        }

        tag = rest[0];
        rest = rest[1..];
        var field = tag >> 3;
        if (field is 0 or >= FieldsInOneByte)
        {
            Fail("unknown field");
            return false;
        }

        var bit = 1u << field;
        if ((seen & bit) != 0 && field != repeated)
        {
            Fail("a field twice");
            return false;
        }

        seen |= bit;
        return true;
    }

    /// <summary>Reads a field of bytes, text or another message.</summary>
    public ReadOnlySpan<byte> Block()
    {
        var length = Varint();
        if (length > (ulong)rest.Length)
        {
            Fail("truncated");
            return default;
        }

        var taken = rest[..(int)length];
        rest = rest[(int)length..];
        return taken;
    }

    /// <summary>Reads a number of variable length.</summary>
    public ulong Varint()
    {
        ulong value = 0;
        for (var index = 0; index < rest.Length && index < LongestVarint; index++)
        {
            var next = rest[index];
            value |= (ulong)(next & 0x7F) << (7 * index);
            if (next >= 0x80)
            {
                continue;
            }

            if ((next == 0 && index > 0) || (next > 1 && index == LongestVarint - 1))
            {
                Fail("a padded or too large number");
                return 0;
            }

            rest = rest[(index + 1)..];
            return value;
        }

        Fail(rest.Length < LongestVarint ? "truncated" : "a number of too many bytes");
        return 0;
    }

    /// <summary>Reads a signed 32-bit number, which protobuf extends to 64 bits.</summary>
    public int Int32()
    {
        var value = (long)Varint();
        if (value != (int)value)
        {
            Fail("a number beyond 32 bits");
            return 0;
        }

        return (int)value;
    }

    /// <summary>Reads a number of eight bytes.</summary>
    public ulong Fixed64()
    {
        if (rest.Length < sizeof(ulong))
        {
            Fail("truncated");
            return 0;
        }

        var value = System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(rest);
        rest = rest[sizeof(ulong)..];
        return value;
    }

    /// <summary>Ends the reading because the field is none that this message has, or has another wire type.</summary>
    public void Unknown() => Fail("unknown field");

    /// <summary>Ends the reading.</summary>
    public void Fail(string why)
    {
        Why ??= why;
        rest = default;
    }
}
