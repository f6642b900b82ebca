namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Looks into those messages of Akka's own that wrap another message with a serializer of its own: without this look a peer could send by way of
/// them what it may not send plainly.
/// </summary>
internal static class WrappedMessages
{
    /// <summary>Names in a selection.</summary>
    public const int MaximumElements = 32;

    private const byte WrappedTag = 1 << 3 | 2, PatternTag = 2 << 3 | 2;
    private const byte KindTag = 1 << 3 | 0, MatcherTag = 2 << 3 | 2, IdentityPathTag = 2 << 3 | 2;
    private const int PatternField = 2;
    private const int ChildName = 2;

    /// <summary>Checks a message by its serializer, and what it wraps. If it is wrapped itself, wrapping ends there.</summary>
    public static string? Judge(GuardRules rules, in SerializedUnit message, bool wrapped)
    {
        if (message.Serializer == AkkaSerializers.Selections)
        {
            return "a selection where none may be";
        }

        if (!rules.TrustsSerializer(message.Serializer))
        {
            return message.Serializer == AkkaSerializers.SystemMessages
                ? "a system message, which no peer may send"
                : FormattableString.Invariant($"serializer {message.Serializer}, which is not in {GuardRules.Section}.trusted-serializers");
        }

        return message.Serializer == AkkaSerializers.Miscellaneous ? JudgeMiscellaneous(rules, message, wrapped) : null;
    }

    /// <summary>Checks a selection from the root: its path, and the message in it.</summary>
    public static string? JudgeSelection(GuardRules rules, in SerializedUnit message)
    {
        Span<byte> path = stackalloc byte[ActorPathRule.MaximumLength];
        var length = 0;
        var elements = 0;
        string? inner = null;
        var hasMessage = false;
        SerializedUnit selected = default;
        var reader = new ProtoReader(message.Body);
        while (inner is null && reader.Next(out var tag, PatternField))
        {
            switch (tag)
            {
                case WrappedTag:
                    inner = SerializedUnit.Read(reader.Block(), out selected);
                    hasMessage = true;
                    break;
                case PatternTag:
                    inner = ++elements > MaximumElements ? "a selection of too many names" : Append(reader.Block(), path, ref length);
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        inner = reader.Why ?? inner ?? (hasMessage ? null : "a selection without message");
        if (inner is not null)
        {
            return inner;
        }

        var whole = path[..length];
        return !ActorPathRule.TryRead(whole, out _) || ActorPathRule.IsRemoteDaemon(whole) || !rules.TrustsSelection(whole)
            ? $"a selection of {ActorPathRule.Printable(whole)}, which is not in {GuardRules.Section}.trusted-selections"
            : Judge(rules, selected, wrapped: true);
    }

    private static string? Append(ReadOnlySpan<byte> pattern, Span<byte> path, ref int length)
    {
        var reader = new ProtoReader(pattern);
        var kind = 0;
        ReadOnlySpan<byte> name = default;
        while (reader.Next(out var tag))
        {
            switch (tag)
            {
                case KindTag:
                    kind = reader.Int32();
                    break;
                case MatcherTag:
                    name = reader.Block();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        if (reader.Why is not null)
        {
            return reader.Why;
        }

        if (kind != ChildName || name.IsEmpty || name.IndexOfAny((byte)'/', (byte)'#') >= 0)
        {
            return "a selection by something else than names";
        }

        if (length + 1 + name.Length > path.Length)
        {
            return "a selection of too long a path";
        }

        path[length] = (byte)'/';
        name.CopyTo(path[(length + 1)..]);
        length += 1 + name.Length;
        return null;
    }

    private static string? JudgeMiscellaneous(GuardRules rules, in SerializedUnit message, bool wrapped)
    {
        if (message.Manifest.SequenceEqual("AR"u8) || message.Manifest.SequenceEqual("RWHB"u8) || message.Manifest.SequenceEqual("RWHR"u8))
        {
            return null;
        }

        var isIdentity = message.Manifest.SequenceEqual("AID"u8);
        if (!isIdentity && !message.Manifest.SequenceEqual("ID"u8))
        {
            return $"a message of Akka's own with manifest '{ActorPathRule.Printable(message.Manifest)}', which no peer may send";
        }

        if (wrapped && isIdentity)
        {
            return "an ActorIdentity inside another message";
        }

        return JudgeIdentify(rules, message.Body, isIdentity);
    }

    private static string? JudgeIdentify(GuardRules rules, ReadOnlySpan<byte> body, bool isIdentity)
    {
        var reader = new ProtoReader(body);
        string? inner = null;
        while (inner is null && reader.Next(out var tag))
        {
            switch (tag)
            {
                case WrappedTag:
                    inner = SerializedUnit.Read(reader.Block(), out var id);
                    inner ??= id.Serializer == AkkaSerializers.Miscellaneous
                        ? "a message of Akka's own as the identifier of an Identify"
                        : Judge(rules, id, wrapped: true);
                    break;
                case IdentityPathTag when isIdentity:
                    reader.Block();
                    break;
                default:
                    reader.Unknown();
                    break;
            }
        }

        return reader.Why ?? inner;
    }
}
