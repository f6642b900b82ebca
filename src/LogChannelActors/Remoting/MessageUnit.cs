namespace FtAkka.LogChannelActors.Remoting;

/// <summary><c>AckAndEnvelopeContainer</c>: acknowledgements of system messages, and at most one envelope with a message.</summary>
internal ref struct MessageUnit
{
    /// <summary>Negative acknowledgements that a unit may carry. No honest peer of ours sends any: nothing goes to it that is acknowledged.</summary>
    public const int MaximumNacks = 256;

    /// <summary>The sequence number that says "none"; every other asks Akka to keep the message in order with system messages.</summary>
    public const ulong NoSequence = ulong.MaxValue;

    private const byte AckTag = 1 << 3 | 2, EnvelopeTag = 2 << 3 | 2;
    private const byte CumulativeTag = 1 << 3 | 1, NackTag = 2 << 3 | 1, PackedNacksTag = 2 << 3 | 2;
    private const byte RecipientTag = 1 << 3 | 2, MessageTag = 2 << 3 | 2, SenderTag = 4 << 3 | 2, SequenceTag = 5 << 3 | 1;
    private const byte PathTag = 1 << 3 | 2;
    private const int NackField = 2;

    public bool HasEnvelope { get; private set; }

    public bool HasSender { get; private set; }

    public ReadOnlySpan<byte> Recipient { get; private set; }

    public ReadOnlySpan<byte> Sender { get; private set; }

    public ulong Sequence { get; private set; }

    public SerializedUnit Message { get; private set; }

    /// <summary>Reads the content of a unit that is no control unit. The result is null or says what is wrong.</summary>
    public static string? Read(ReadOnlySpan<byte> content, out MessageUnit unit)
    {
        unit = default;
        var reader = new ProtoReader(content);
        string? inner = null;
        while (inner is null && reader.Next(out var tag))
        {
            switch (tag)
            {
                case AckTag:
                    inner = ReadAck(reader.Block());
                    break;
                case EnvelopeTag:
                    unit.HasEnvelope = true;
                    inner = unit.ReadEnvelope(reader.Block());
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? inner;
    }

    private static string? ReadAck(ReadOnlySpan<byte> content)
    {
        var reader = new ProtoReader(content);
        var nacks = 0;
        while (reader.Next(out var tag, NackField))
        {
            switch (tag)
            {
                case CumulativeTag:
                    reader.Fixed64();
                    break;
                case NackTag:
                    reader.Fixed64();
                    nacks++;
                    break;
                case PackedNacksTag:
                    var packed = reader.Block();
                    nacks += packed.Length / sizeof(ulong);
                    if (packed.Length % sizeof(ulong) != 0)
                    {
                        reader.Fail("truncated");
                    }

                    break;
                default:
                    reader.Unknown();
                    break;
            }

            if (nacks > MaximumNacks)
            {
                reader.Fail("too many negative acknowledgements");
            }
        }

        return reader.Why;
    }

    private string? ReadEnvelope(ReadOnlySpan<byte> content)
    {
        var reader = new ProtoReader(content);
        string? inner = null;
        var hasMessage = false;
        while (inner is null && reader.Next(out var tag))
        {
            switch (tag)
            {
                case RecipientTag:
                    inner = ReadPath(reader.Block(), out var recipient);
                    Recipient = recipient;
                    break;
                case MessageTag:
                    inner = SerializedUnit.Read(reader.Block(), out var message);
                    Message = message;
                    hasMessage = true;
                    break;
                case SenderTag:
                    HasSender = true;
                    inner = ReadPath(reader.Block(), out var sender);
                    Sender = sender;
                    break;
                case SequenceTag:
                    Sequence = reader.Fixed64();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? inner ?? (hasMessage ? null : "an envelope without message");
    }

    private static string? ReadPath(ReadOnlySpan<byte> content, out ReadOnlySpan<byte> path)
    {
        path = default;
        var reader = new ProtoReader(content);
        while (reader.Next(out var tag))
        {
            if (tag == PathTag)
            {
                path = reader.Block();
            }
            else
            {
                reader.Unknown();
            }
        }

        return reader.Why;
    }
}
