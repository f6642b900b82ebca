namespace FtAkka.Wire;

/// <summary>Why bytes from a peer are refused. Each one closes the connection; none is an exception.</summary>
public enum WireRefusal
{
    /// <summary>Not refused.</summary>
    None,

    /// <summary>The body ends before the last field that it must have.</summary>
    Truncated,

    /// <summary>Bytes are left over after the last field.</summary>
    TrailingBytes,

    /// <summary>The first byte names no kind of frame, or one that has no place here.</summary>
    UnknownKind,

    /// <summary>A text is not valid UTF-8 or longer than its limit.</summary>
    BadText,

    /// <summary>A field holds a value outside its range.</summary>
    BadField,

    /// <summary>The serializer is not one of <c>akka.remote.wire.accepted-serializers</c>.</summary>
    SerializerNotAccepted,

    /// <summary>The serializer refused the body: unknown manifest, or malformed bytes.</summary>
    BodyRefused,

    /// <summary>The frame length is zero or above <c>maximum-frame-size</c>.</summary>
    BadFrameLength,

    /// <summary>The stream does not begin with the protocol's mark, or speaks another version of it.</summary>
    NotThisProtocol,

    /// <summary>The handshake names another actor system or another address than ours.</summary>
    WrongTarget,

    /// <summary>The claimed node name or address is not in the peer's certificate.</summary>
    NameNotCertified,

    /// <summary>The peer is an older process than the one already known at its address.</summary>
    StaleIncarnation,
}
