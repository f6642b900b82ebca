using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>What a connection is for.</summary>
internal enum Lane : byte
{
    /// <summary>The association itself.</summary>
    Main = 0,

    /// <summary>The second connection of an association.</summary>
    Bulk = 1,
}

/// <summary>What the accepting side says to a greeting.</summary>
internal enum Verdict : byte
{
    /// <summary>Go on.</summary>
    Welcome = 0,

    /// <summary>This node has as many connections as it may.</summary>
    TooManyConnections = 1,

    /// <summary>No association has this token and this certificate, or it has its second connection already.</summary>
    UnknownAssociation = 2,

    /// <summary>This node stops.</summary>
    Stopping = 3,

    /// <summary>This node is of another cluster.</summary>
    OtherCluster = 4,
}

/// <summary>
/// The first bytes on a connection, inside TLS: 32 from the side that dials (magic, version, lane, two zeros, a token of 128 random bits,
/// a mark of its cluster), answered by eight (magic, version, verdict, two zeros). The token binds the second connection to the first.
/// </summary>
internal static class Greeting
{
    public const int Bytes = 32;
    public const int AnswerBytes = 8;
    public const int TokenBytes = 16;
    private const byte Version = 1;
    private const int ClusterOffset = 8 + TokenBytes;

    private static ReadOnlySpan<byte> Magic => "FTAK"u8;

    public static Guid NewToken() => new(RandomNumberGenerator.GetBytes(TokenBytes));

    /// <summary>The mark of a cluster: from its identity, so that two clusters whose nodes meet by mistake are told apart. 0 for none.</summary>
    public static ulong MarkOf(string cluster) =>
        cluster.Length == 0 ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(cluster)));

    public static byte[] Write(Lane lane, Guid token, ulong cluster)
    {
        var greeting = new byte[Bytes];
        Magic.CopyTo(greeting);
        greeting[4] = Version;
        greeting[5] = (byte)lane;
        token.TryWriteBytes(greeting.AsSpan(8));
        BinaryPrimitives.WriteUInt64LittleEndian(greeting.AsSpan(ClusterOffset), cluster);
        return greeting;
    }

    /// <summary>Reads a greeting; false if it is none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> greeting, out Lane lane, out Guid token, out ulong cluster)
    {
        lane = (Lane)greeting[5];
        token = new Guid(greeting.Slice(8, TokenBytes));
        cluster = BinaryPrimitives.ReadUInt64LittleEndian(greeting[ClusterOffset..]);
        return greeting[..4].SequenceEqual(Magic) && greeting[4] == Version && lane <= Lane.Bulk
            && greeting.Slice(6, 2).IndexOfAnyExcept((byte)0) < 0;
    }

    public static byte[] WriteAnswer(Verdict verdict) => [.. Magic, Version, (byte)verdict, 0, 0];

    /// <summary>Reads an answer; null if it is none.</summary>
    public static Verdict? ReadAnswer(ReadOnlySpan<byte> answer) =>
        answer[..4].SequenceEqual(Magic) && answer[4] == Version && answer[5] <= (byte)Verdict.OtherCluster && answer[6] == 0 && answer[7] == 0
            ? (Verdict)answer[5]
            : null;
}
