using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Akka.Actor;

namespace FtAkka.Wire;

/// <summary>
/// The envelope around one message: recipient, sender, and either a serialized body or one of the two messages that the wire
/// itself must carry (Identify and its answer). Layout in docs/wire.md. The handshake has already told both sides each other's
/// address, so paths of the two systems travel without it.
/// </summary>
internal static class WireEnvelope
{
    public const int MaxPathBytes = 2048;
    public const int MaxManifestBytes = 255;
    public const int MaxIdentifyIdBytes = 1024;
    public const int MaxSelectionElements = 32;
    public const int MaxSelectionElementBytes = 255;

    public const byte KindMessage = 1;
    public const byte KindSelection = 2;

    public const byte RefNone = 0;
    public const byte RefOfSender = 1;
    public const byte RefAbsolute = 2;

    public const byte BodySerialized = 0;
    public const byte BodyIdentify = 1;
    public const byte BodyActorIdentity = 2;

    private const byte IdNull = 0;
    private const byte IdText = 1;
    private const byte IdInt32 = 2;
    private const byte IdInt64 = 3;

    private const byte ElementParent = 0;
    private const byte ElementName = 1;
    private const byte ElementPattern = 2;

    [ThreadStatic]
    private static IActorRef? t_lastLocalRef;

    [ThreadStatic]
    private static byte[]? t_lastLocalText;

    /// <summary>The path within its system, with the UID where it has one.</summary>
    public static string RelativePath(ActorPath path)
    {
        var text = path.ToStringWithoutAddress();
        return path.Uid == ActorCell.UndefinedUid ? text : $"{text}#{path.Uid}";
    }

    /// <summary>Parses a path from a frame. Akka's parser throws on some malformed texts; those never reach it.</summary>
    public static bool TryParsePath(string address, string text, [NotNullWhen(true)] out ActorPath? path)
    {
        path = null;
        var uid = text.IndexOf('#', StringComparison.Ordinal);
        var digits = uid < 0 ? "0" : text.AsSpan(uid + 1);
        if (!int.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
        {
            return false;
        }

        foreach (var c in text)
        {
            if (c is <= ' ' or > '~')
            {
                return false;
            }
        }

        try
        {
            return ActorPath.TryParse(address + text, out path) && path.Elements.All(element => !element.Contains('#', StringComparison.Ordinal));
        }
        // What the checks above may have missed in some version of Akka; the connection is closed, so it happens once.
        catch (Exception failure) when (failure is FormatException or ArgumentException or OverflowException or IndexOutOfRangeException)
        {
            return false;
        }
    }

    public static void WriteRecipient(WireWriter writer, byte kind, WireActorRef recipient)
    {
        writer.Byte(kind);
        writer.TextBytes(recipient.RecipientText);
    }

    /// <summary>Writes a reference to an actor of this system, or of a third one with its full address.</summary>
    public static bool TryWriteRef(WireWriter writer, IActorRef? actor)
    {
        if (actor is null || actor.IsNobody())
        {
            writer.Byte(RefNone);
            return true;
        }

        if (actor is WireActorRef foreign)
        {
            writer.Byte(RefAbsolute);
            return writer.TryText(foreign.Path.ToSerializationFormat(), MaxPathBytes);
        }

        // An actor sends many messages in a row from one thread: remember the text of the last one.
        if (!ReferenceEquals(t_lastLocalRef, actor))
        {
            t_lastLocalText = Encoding.UTF8.GetBytes(RelativePath(actor.Path));
            t_lastLocalRef = actor;
        }

        if (t_lastLocalText!.Length > MaxPathBytes)
        {
            return false;
        }

        writer.Byte(RefOfSender);
        writer.TextBytes(t_lastLocalText);
        return true;
    }

    public static bool TryWriteElements(WireWriter writer, SelectionPathElement[] elements, bool wildCardFanOut)
    {
        if (elements.Length > MaxSelectionElements)
        {
            return false;
        }

        writer.Byte(wildCardFanOut ? (byte)1 : (byte)0);
        writer.Byte((byte)elements.Length);
        foreach (var element in elements)
        {
            var (type, text) = element switch
            {
                SelectParent => (ElementParent, string.Empty),
                SelectChildName name => (ElementName, name.Name),
                SelectChildPattern pattern => (ElementPattern, pattern.PatternStr),
                _ => (byte.MaxValue, string.Empty),
            };
            if (type == byte.MaxValue)
            {
                return false;
            }

            writer.Byte(type);
            if (!writer.TryText(text, MaxSelectionElementBytes))
            {
                return false;
            }
        }

        return true;
    }

    public static SelectionPathElement[] ReadElements(ref WireReader reader)
    {
        // The fan-out mark only changes whether a wildcard that matches nobody is reported as a dead letter by the receiver.
        if (reader.Byte() > 1)
        {
            reader.Refuse(WireRefusal.BadField);
        }

        var count = reader.Byte();
        if (count > MaxSelectionElements)
        {
            reader.Refuse(WireRefusal.BadField);
            return [];
        }

        var elements = new SelectionPathElement[count];
        for (var i = 0; i < count; i++)
        {
            var type = reader.Byte();
            var text = reader.Text(MaxSelectionElementBytes);
            if (type == ElementPattern ? !IsHarmlessPattern(text) : text.AsSpan().ContainsAny('#', '/'))
            {
                reader.Refuse(WireRefusal.BadField);   // '#': a UID, which Akka parses and may throw on
                return [];
            }

            switch (type)
            {
                case ElementParent:
                    elements[i] = new SelectParent();
                    break;
                case ElementName:
                    elements[i] = new SelectChildName(text);
                    break;
                case ElementPattern:
                    elements[i] = new SelectChildPattern(text);
                    break;
                default:
                    reader.Refuse(WireRefusal.BadField);
                    return [];
            }
        }

        return elements;
    }

    /// <summary>
    /// True for what may go to Akka's matcher, which makes a regular expression of a pattern without escaping it: a peer must
    /// be able neither to send an expression of its own, nor one that takes for ever.
    /// </summary>
    private static bool IsHarmlessPattern(string pattern)
    {
        const int MaxWildcards = 4;
        var wildcards = 0;
        foreach (var c in pattern)
        {
            if (c is '*' or '?')
            {
                wildcards++;
            }
            else if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_'))
            {
                return false;
            }
        }

        return wildcards <= MaxWildcards;
    }

    /// <summary>Writes the correlation value of an Identify: null, a text, an int or a long; false for anything else.</summary>
    public static bool TryWriteIdentifyId(WireWriter writer, object? id)
    {
        switch (id)
        {
            case null:
                writer.Byte(IdNull);
                return true;
            case string text:
                writer.Byte(IdText);
                return writer.TryText(text, MaxIdentifyIdBytes);
            case int number:
                writer.Byte(IdInt32);
                writer.Int32(number);
                return true;
            case long number:
                writer.Byte(IdInt64);
                writer.Int64(number);
                return true;
            default:
                return false;
        }
    }

    public static object? ReadIdentifyId(ref WireReader reader)
    {
        switch (reader.Byte())
        {
            case IdNull:
                return null;
            case IdText:
                return reader.Text(MaxIdentifyIdBytes);
            case IdInt32:
                return reader.Int32();
            case IdInt64:
                return reader.Int64();
            default:
                reader.Refuse(WireRefusal.BadField);
                return null;
        }
    }
}
