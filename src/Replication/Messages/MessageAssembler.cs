using System.Collections.Immutable;

namespace FtAkka.Replication.Messages;

/// <summary>
/// Puts <see cref="MessagePiece"/>s together, for one receiver of messages from several senders. A sender's next message ends the one before it,
/// complete or not: what is lost with a connection is sent again by those who need it, under a new number. Parts may come twice and in any order.
/// </summary>
public sealed class MessageAssembler
{
    /// <summary>Longest body of a whole message, in bytes. The parts of one sender's message never occupy more.</summary>
    public const int BytesMax = 32 << 20;

    /// <summary>Senders whose parts are kept at a time; another one's take the place of those that had to wait the longest.</summary>
    public const int SendersMax = 4;

    private readonly List<Assembly> _assemblies = [];

    /// <summary>Takes a part.</summary>
    /// <param name="sender">Who sent it, such as the address of its system.</param>
    /// <param name="piece">The part.</param>
    /// <returns>
    /// The whole message, if this was its last missing part; or why the parts are refused, which means that the sender does not speak this
    /// protocol; or neither.
    /// </returns>
    public (IWireMessage? Message, WireMessageRefusal Refusal) Take(string sender, MessagePiece piece)
    {
        ArgumentNullException.ThrowIfNull(piece);
        int at = _assemblies.FindIndex(known => known.Sender == sender);
        Assembly? assembly = at < 0 ? null : _assemblies[at];
        if (assembly is null || assembly.CompareTo(piece) < 0)
        {
            Forget(at);
            assembly = new Assembly(sender, piece);
            _assemblies.Add(assembly);
        }
        else if (assembly.CompareTo(piece) > 0 || assembly.IsComplete)
        {
            return (null, WireMessageRefusal.None);
        }
        if (!assembly.Add(piece))
        {
            _assemblies.Remove(assembly);
            return (null, WireMessageRefusal.OutOfRange);
        }
        return assembly.IsComplete ? Decode(assembly) : (null, WireMessageRefusal.None);
    }

    private void Forget(int at)
    {
        if (at >= 0)
        {
            _assemblies.RemoveAt(at);
        }
        else if (_assemblies.Count == SendersMax)
        {
            _assemblies.RemoveAt(0);
        }
    }

    private static (IWireMessage? Message, WireMessageRefusal Refusal) Decode(Assembly assembly)
    {
        byte[] body = assembly.TakeBody();
        // A part within a part would let one message hold as many as it likes.
        return assembly.Manifest == WireMessageCodec.PieceManifest ? (null, WireMessageRefusal.UnknownManifest) : WireMessageCodec.Decode(assembly.Manifest, body);
    }

    /// <summary>The parts of one message; once it is complete only its number is left, so that parts that come twice do not begin it anew.</summary>
    private sealed class Assembly(string sender, MessagePiece first)
    {
        private readonly (long, ulong) _number = (first.Incarnation, first.Number);
        private ImmutableArray<byte>[] _parts = new ImmutableArray<byte>[first.Count];
        private int _missing = first.Count;
        private long _bytes;

        public string Sender { get; } = sender;

        public string Manifest { get; } = first.Manifest;

        public bool IsComplete => _missing == 0;

        /// <summary>Less than zero if the part is of a later message.</summary>
        public int CompareTo(MessagePiece piece) => _number.CompareTo((piece.Incarnation, piece.Number));

        /// <summary>False if the part contradicts the others.</summary>
        public bool Add(MessagePiece piece)
        {
            if (piece.Count != _parts.Length || piece.Manifest != Manifest || piece.Index >= _parts.Length)
            {
                return false;
            }
            if (_parts[piece.Index].IsDefault)
            {
                _parts[piece.Index] = piece.Bytes;
                _bytes += piece.Bytes.Length;
                _missing--;
            }
            return _bytes <= BytesMax;
        }

        public byte[] TakeBody()
        {
            var body = new byte[_bytes];
            int at = 0;
            foreach (ImmutableArray<byte> part in _parts)
            {
                part.CopyTo(0, body, at, part.Length);
                at += part.Length;
            }
            _parts = [];
            return body;
        }
    }
}
