namespace FtAkka.LogChannelActors.Remoting;

/// <summary>The commands of <c>AkkaControlMessage</c>.</summary>
internal enum PduCommand
{
    None = 0,
    Associate = 1,
    Disassociate = 2,
    Heartbeat = 3,
    DisassociateShuttingDown = 4,
    DisassociateQuarantined = 5,
}

/// <summary><c>AkkaProtocolMessage</c>: either a container with acknowledgements and a message, or a control unit.</summary>
internal ref struct ProtocolUnit
{
    /// <summary>Stands before a control unit.</summary>
    public const byte InstructionTag = 2 << 3 | 2;

    private const byte PayloadTag = 1 << 3 | 2;

    public ReadOnlySpan<byte> Content { get; private set; }

    public bool IsControl { get; private set; }

    /// <summary>Reads a unit. The result is null or says what is wrong.</summary>
    public static string? Read(ReadOnlySpan<byte> pdu, out ProtocolUnit unit)
    {
        unit = default;
        var reader = new ProtoReader(pdu);
        var fields = 0;
        while (reader.Next(out var tag))
        {
            fields++;
            switch (tag)
            {
                case PayloadTag:
                    unit.Content = reader.Block();
                    break;
                case InstructionTag:
                    unit.Content = reader.Block();
                    unit.IsControl = true;
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? (fields != 1 ? "not exactly one of message and control unit"
            : unit.Content.IsEmpty ? "an empty unit"
            : null);
    }
}

/// <summary><c>AkkaControlMessage</c> with its <c>AkkaHandshakeInfo</c> and that one's <c>AddressData</c>.</summary>
internal ref struct ControlUnit
{
    private const byte CommandTag = 1 << 3 | 0, HandshakeTag = 2 << 3 | 2;
    private const byte OriginTag = 1 << 3 | 2, UidTag = 2 << 3 | 1;
    private const byte SystemTag = 1 << 3 | 2, HostTag = 2 << 3 | 2, PortTag = 3 << 3 | 0, SchemeTag = 4 << 3 | 2;

    public PduCommand Command { get; private set; }

    public bool HasOrigin { get; private set; }

    public ReadOnlySpan<byte> System { get; private set; }

    public ReadOnlySpan<byte> Host { get; private set; }

    public ReadOnlySpan<byte> Scheme { get; private set; }

    public ulong Port { get; private set; }

    /// <summary>Reads a control unit. The result is null or says what is wrong.</summary>
    public static string? Read(ReadOnlySpan<byte> content, out ControlUnit unit)
    {
        unit = default;
        var reader = new ProtoReader(content);
        string? inner = null;
        while (inner is null && reader.Next(out var tag))
        {
            switch (tag)
            {
                case CommandTag:
                    unit.Command = (PduCommand)reader.Int32();
                    break;
                case HandshakeTag:
                    inner = unit.ReadHandshake(reader.Block());
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? inner;
    }

    private string? ReadHandshake(ReadOnlySpan<byte> content)
    {
        var reader = new ProtoReader(content);
        string? inner = null;
        while (inner is null && reader.Next(out var tag))
        {
            switch (tag)
            {
                case OriginTag:
                    HasOrigin = true;
                    inner = ReadOrigin(reader.Block());
                    break;
                case UidTag:
                    reader.Fixed64();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? inner ?? (HasOrigin ? null : "a handshake without origin");
    }

    private string? ReadOrigin(ReadOnlySpan<byte> content)
    {
        var reader = new ProtoReader(content);
        while (reader.Next(out var tag))
        {
            switch (tag)
            {
                case SystemTag:
                    System = reader.Block();
                    break;
                case HostTag:
                    Host = reader.Block();
                    break;
                case PortTag:
                    Port = reader.Varint();
                    break;
                case SchemeTag:
                    Scheme = reader.Block();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why;
    }
}

/// <summary><c>Payload</c>: a serialized message, with what is needed to decode it. Stands in an envelope and inside other messages.</summary>
internal ref struct SerializedUnit
{
    private const byte BodyTag = 1 << 3 | 2, SerializerTag = 2 << 3 | 0, ManifestTag = 3 << 3 | 2;

    public int Serializer { get; private set; }

    public ReadOnlySpan<byte> Manifest { get; private set; }

    public ReadOnlySpan<byte> Body { get; private set; }

    /// <summary>Reads a serialized message. The result is null or says what is wrong.</summary>
    public static string? Read(ReadOnlySpan<byte> content, out SerializedUnit unit)
    {
        unit = default;
        var reader = new ProtoReader(content);
        while (reader.Next(out var tag))
        {
            switch (tag)
            {
                case BodyTag:
                    unit.Body = reader.Block();
                    break;
                case SerializerTag:
                    unit.Serializer = reader.Int32();
                    break;
                case ManifestTag:
                    unit.Manifest = reader.Block();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why;
    }
}
