using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace FtAkka.Replication.Messages;

/// <summary>Cuts messages that are too long for one frame into <see cref="MessagePiece"/>s, for one receiver.</summary>
public sealed class MessageCutter
{
    /// <summary>Longest body that is sent whole unless something else is asked for: half a mebibyte.</summary>
    public const int BytesMaxDefault = 512 << 10;

    /// <summary>The least that may be asked for instead.</summary>
    public const int BytesMaxLeast = 4096;

    private readonly long _incarnation;
    private readonly int _bytesMax;
    private ulong _last;

    /// <summary>A cutter.</summary>
    /// <param name="incarnation">Incarnation of this process; greater than that of every earlier one.</param>
    /// <param name="bytesMax">Longest body that is sent whole, and longest part, in bytes.</param>
    public MessageCutter(long incarnation, int bytesMax = BytesMaxDefault)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytesMax, BytesMaxLeast);
        (_incarnation, _bytesMax) = (incarnation, bytesMax);
    }

    /// <summary>The parts of a message, in order; none if it is short enough to be sent whole.</summary>
    /// <exception cref="ArgumentException">The message is longer than any receiver takes.</exception>
    public MessagePiece[] Cut(IWireMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        return message.ContentBytes <= _bytesMax - WireMessageCodec.FixedBytesMax ? [] : Parts(message);
    }

    private MessagePiece[] Parts(IWireMessage message)
    {
        byte[] body = WireMessageCodec.Encode(message);
        int count = (body.Length + _bytesMax - 1) / _bytesMax;
        if (count > MessagePiece.CountMax || body.Length > MessageAssembler.BytesMax)
        {
            throw new ArgumentException($"A message of {body.Length} bytes is longer than any receiver takes.", nameof(message));
        }
        string manifest = WireMessageCodec.ManifestOf(message);
        ulong number = ++_last;
        var parts = new MessagePiece[count];
        for (int i = 0; i < count; i++)
        {
            byte[] part = body.AsSpan(i * _bytesMax, Math.Min(_bytesMax, body.Length - (i * _bytesMax))).ToArray();
            parts[i] = new MessagePiece(_incarnation, number, manifest, i, count, ImmutableCollectionsMarshal.AsImmutableArray(part));
        }
        return parts;
    }
}
