using System.Buffers.Binary;

namespace FtAkka.Replication.Log;

/// <summary>
/// The first bytes of a log file: which recording the frames behind it belong to. Layout: docs/log-format.md.
/// </summary>
/// <param name="Recording">Identity of the recording; its manifest and snapshots carry the same.</param>
public readonly record struct LogFileHeader(Guid Recording)
{
    public const int SizeBytes = 32;
    public const ushort Version = 1;
    private static ReadOnlySpan<byte> Magic => "FTLOG\r\n\0"u8;

    /// <summary>Writes the header.</summary>
    public byte[] Write()
    {
        var bytes = new byte[SizeBytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Version);
        Recording.TryWriteBytes(bytes.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(28), Crc32C.Of(bytes.AsSpan(0, 28)));
        return bytes;
    }

    /// <summary>Reads a header.</summary>
    public static LogFrameError TryRead(ReadOnlySpan<byte> bytes, out LogFileHeader header)
    {
        header = default;
        if (bytes.Length < SizeBytes)
            return LogFrameError.Incomplete;
        if (!bytes[..8].SequenceEqual(Magic))
            return LogFrameError.BadMagic;
        if (BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]) != Version)
            return LogFrameError.UnknownVersion;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[28..]) != Crc32C.Of(bytes[..28]))
            return LogFrameError.BadChecksum;
        header = new LogFileHeader(new Guid(bytes.Slice(12, 16)));
        return LogFrameError.None;
    }
}
