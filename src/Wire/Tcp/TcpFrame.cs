using System.Buffers.Binary;
using System.Globalization;
using Akka.Actor;

namespace FtAkka.Wire.Tcp;

/// <summary>
/// Frames on a TCP connection: a 32-bit little-endian length, then that many bytes, the first of which is the kind. Kinds below 16 are
/// envelopes (<see cref="WireEnvelope"/>); the rest belong to the connection. A connection carries envelopes from the side that
/// opened it only; the other side answers the handshake and the probes.
/// </summary>
internal static class TcpFrame
{
    public const int HeaderBytes = 4;
    public const int HandshakeBytesMax = 4096;
    public const byte FirstControlKind = 16;
    public const byte KindHello = 16;
    public const byte KindWelcome = 17;
    public const byte KindPing = 18;
    public const byte KindPong = 19;
    public const byte KindGoodbye = 20;

    private const int Magic = 0x5754_4B41;  // "AKTW" in little-endian order
    private const ushort Version = 1;
    private const int MaxNameBytes = 255;

    /// <summary>A frame of one byte: ping, pong or goodbye.</summary>
    public static byte[] Control(byte kind) => [1, 0, 0, 0, kind];

    public static byte[] WriteHello(in Hello hello)
    {
        var writer = new WireWriter();
        writer.Int32(0);
        writer.Byte(KindHello);
        writer.Int32(Magic);
        writer.UInt16(Version);
        WriteText(writer, hello.SystemName);
        WriteText(writer, hello.Host);
        writer.Int32(hello.Port);
        writer.Int64(hello.Incarnation);
        WriteText(writer, hello.NodeName);
        WriteText(writer, hello.TargetSystem);
        WriteText(writer, hello.TargetHost);
        writer.Int32(hello.TargetPort);
        return Finish(writer);
    }

    public static WireRefusal ReadHello(ReadOnlySpan<byte> frame, out Hello hello)
    {
        var reader = new WireReader(frame);
        hello = default;
        if (reader.Byte() != KindHello || reader.Int32() != Magic || reader.UInt16() != Version)
        {
            return WireRefusal.NotThisProtocol;
        }

        hello = new Hello(
            reader.Text(MaxNameBytes), reader.Text(MaxNameBytes), reader.Int32(), reader.Int64(), reader.Text(MaxNameBytes),
            reader.Text(MaxNameBytes), reader.Text(MaxNameBytes), reader.Int32());
        var verdict = reader.End();
        if (verdict != WireRefusal.None)
        {
            return verdict;
        }

        // The texts become part of an address: only what a host or system name can hold.
        return IsName(hello.SystemName) && IsName(hello.Host) && IsName(hello.NodeName) && hello.Port is > 0 and <= ushort.MaxValue
            ? WireRefusal.None
            : WireRefusal.BadField;
    }

    public static byte[] WriteWelcome(in Welcome welcome)
    {
        var writer = new WireWriter();
        writer.Int32(0);
        writer.Byte(KindWelcome);
        writer.Int32(Magic);
        writer.UInt16(Version);
        writer.Byte((byte)welcome.Verdict);
        writer.Int64(welcome.Incarnation);
        WriteText(writer, welcome.NodeName);
        writer.Int64(welcome.NewestKnown);
        return Finish(writer);
    }

    public static WireRefusal ReadWelcome(ReadOnlySpan<byte> frame, out Welcome welcome)
    {
        var reader = new WireReader(frame);
        welcome = default;
        if (reader.Byte() != KindWelcome || reader.Int32() != Magic || reader.UInt16() != Version)
        {
            return WireRefusal.NotThisProtocol;
        }

        welcome = new Welcome((WireRefusal)reader.Byte(), reader.Int64(), reader.Text(MaxNameBytes), reader.Int64());
        var verdict = reader.End();
        return verdict == WireRefusal.None && !Enum.IsDefined(welcome.Verdict) ? WireRefusal.BadField : verdict;
    }

    /// <summary>The length in a frame header; 0 means refused.</summary>
    public static int ReadLength(ReadOnlySpan<byte> header, int max)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header);
        return length <= (uint)max ? (int)length : 0;
    }

    private static bool IsName(string text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.' or ':'))
            {
                return false;
            }
        }

        return text.Length > 0;
    }

    private static void WriteText(WireWriter writer, string text)
    {
        if (!writer.TryText(text, MaxNameBytes))
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"A host, node or system name is longer than {MaxNameBytes} bytes."));
        }
    }

    private static byte[] Finish(WireWriter writer)
    {
        var frame = writer.Written.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(frame, frame.Length - HeaderBytes);
        return frame;
    }

    /// <summary>First frame of the side that opened the connection.</summary>
    public readonly record struct Hello(
        string SystemName, string Host, int Port, long Incarnation, string NodeName,
        string TargetSystem, string TargetHost, int TargetPort)
    {
        public Address Address(string protocol) => new(protocol, SystemName, Host, Port);
    }

    /// <summary>Its answer.</summary>
    /// <param name="Verdict">None, or why the caller is refused.</param>
    /// <param name="Incarnation">Incarnation of the answering process.</param>
    /// <param name="NodeName">Its node name.</param>
    /// <param name="NewestKnown">The newest incarnation known at the caller's address.</param>
    public readonly record struct Welcome(WireRefusal Verdict, long Incarnation, string NodeName, long NewestKnown);
}
