using System.Buffers.Binary;

namespace FtAkka.Machine.Snapshots;

/// <summary>
/// Writes device state as versioned sections: tag (4 ASCII characters), version (2 bytes), length of the content (4 bytes), content.
/// All numbers are little-endian. Sections may nest.
/// </summary>
public sealed class StateWriter
{
    /// <summary>Bytes in front of a section's content.</summary>
    internal const int SectionHeaderBytes = 10;

    private byte[] buffer = new byte[1024];
    private int length;
    private int openSections;

    /// <summary>What has been written so far. Valid until the next write.</summary>
    public ReadOnlySpan<byte> Written
    {
        get
        {
            if (openSections != 0)
                throw new InvalidOperationException("A section of the snapshot is still open.");
            return buffer.AsSpan(0, length);
        }
    }

    /// <summary>Forgets what was written and keeps the buffer.</summary>
    public void Clear() => (length, openSections) = (0, 0);

    /// <summary>Opens a section; give the result to <see cref="EndSection"/>.</summary>
    /// <param name="tag">Four ASCII characters.</param>
    /// <param name="version">Version of the layout of the content, from 1 up.</param>
    public int BeginSection(string tag, ushort version)
    {
        if (tag.Length != 4)
            throw new ArgumentException($"Section tag '{tag}' must have four characters.", nameof(tag));
        foreach (var c in tag)
            WriteByte((byte)c);
        WriteUInt16(version);
        WriteUInt32(0);
        openSections++;
        return length;
    }

    /// <summary>Closes the section opened by <see cref="BeginSection"/>.</summary>
    public void EndSection(int section)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(section - 4), (uint)(length - section));
        openSections--;
    }

    public void WriteByte(byte value) => Reserve(1)[0] = value;

    public void WriteBoolean(bool value) => WriteByte(value ? (byte)1 : (byte)0);

    public void WriteUInt16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Reserve(2), value);

    public void WriteUInt32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Reserve(4), value);

    public void WriteUInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Reserve(8), value);

    /// <summary>Writes bytes whose number the reader knows.</summary>
    public void WriteFixed(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Reserve(bytes.Length));

    /// <summary>Writes a 4-byte length and the bytes.</summary>
    public void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        WriteUInt32((uint)bytes.Length);
        WriteFixed(bytes);
    }

    private Span<byte> Reserve(int count)
    {
        if (buffer.Length - length < count)
            Array.Resize(ref buffer, Math.Max(buffer.Length * 2, checked(length + count)));
        var span = buffer.AsSpan(length, count);
        length += count;
        return span;
    }
}
