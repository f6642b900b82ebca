using System.Buffers.Binary;

namespace FtAkka.Machine.Snapshots;

/// <summary>
/// Reads what <see cref="StateWriter"/> wrote. The first error sticks in <see cref="Error"/>; from then on every read gives zero
/// and moves nothing, so that a device can read all its fields and look at the error once.
/// </summary>
public sealed class StateReader(ReadOnlyMemory<byte> data)
{
    private readonly Stack<int> outerEnds = new();
    private int position;
    private int end = data.Length;

    /// <summary>The first error met, or <see cref="SnapshotError.None"/>.</summary>
    public SnapshotError Error { get; private set; }

    /// <summary>Whether all reads so far succeeded.</summary>
    public bool Ok => Error == SnapshotError.None;

    /// <summary>Bytes left in the current section, or in the whole data outside any.</summary>
    public int RemainingBytes => Ok ? end - position : 0;

    /// <summary>Records an error found by the caller; the first one stays. Returns the error that holds.</summary>
    public SnapshotError Fail(SnapshotError error)
    {
        if (Ok)
            Error = error;
        return Error;
    }

    /// <summary>Records <see cref="SnapshotError.InvalidValue"/> unless <paramref name="valid"/>.</summary>
    public void Require(bool valid)
    {
        if (!valid)
            Fail(SnapshotError.InvalidValue);
    }

    /// <summary>Enters a section that must carry this tag and a version of 1 to <paramref name="versionMax"/>. Returns the version, or 0 after an error.</summary>
    public ushort BeginSection(string tag, ushort versionMax)
    {
        var header = Take(StateWriter.SectionHeaderBytes);
        if (header.IsEmpty)
            return 0;
        for (var i = 0; i < 4; i++)
        {
            if (header[i] != tag[i])
                return Refuse(SnapshotError.UnexpectedSection);
        }
        var version = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        if (version == 0 || version > versionMax)
            return Refuse(SnapshotError.UnsupportedVersion);
        var contentBytes = BinaryPrimitives.ReadUInt32LittleEndian(header[6..]);
        if (contentBytes > (uint)(end - position))
            return Refuse(SnapshotError.Truncated);
        outerEnds.Push(end);
        end = position + (int)contentBytes;
        return version;
    }

    /// <summary>Leaves the section; bytes not read are <see cref="SnapshotError.TrailingData"/>. Returns the error that holds.</summary>
    public SnapshotError EndSection()
    {
        if (!Ok)
            return Error;
        if (position != end)
            return Fail(SnapshotError.TrailingData);
        end = outerEnds.Pop();
        return SnapshotError.None;
    }

    /// <summary>Ends the whole snapshot: bytes not read are <see cref="SnapshotError.TrailingData"/>.</summary>
    public SnapshotError End() => !Ok ? Error : position != end ? Fail(SnapshotError.TrailingData) : SnapshotError.None;

    public byte ReadByte()
    {
        var span = Take(1);
        return span.IsEmpty ? (byte)0 : span[0];
    }

    /// <summary>A byte that must be 0 or 1.</summary>
    public bool ReadBoolean()
    {
        var value = ReadByte();
        Require(value <= 1);
        return value == 1;
    }

    public ushort ReadUInt16()
    {
        var span = Take(2);
        return span.IsEmpty ? (ushort)0 : BinaryPrimitives.ReadUInt16LittleEndian(span);
    }

    public uint ReadUInt32()
    {
        var span = Take(4);
        return span.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(span);
    }

    public ulong ReadUInt64()
    {
        var span = Take(8);
        return span.IsEmpty ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(span);
    }

    /// <summary>Reads exactly as many bytes as <paramref name="destination"/> holds; zeroes it after an error.</summary>
    public void ReadFixed(Span<byte> destination)
    {
        var span = Take(destination.Length);
        if (span.IsEmpty)
            destination.Clear();
        else
            span.CopyTo(destination);
    }

    /// <summary>Reads a 4-byte length and that many bytes, at most <paramref name="lengthMax"/>.</summary>
    public byte[] ReadBytes(int lengthMax)
    {
        var count = ReadUInt32();
        if (!Ok)
            return [];
        if (count > (uint)lengthMax)
        {
            Fail(SnapshotError.InvalidValue);
            return [];
        }
        return Take((int)count).ToArray();
    }

    private ushort Refuse(SnapshotError error)
    {
        Fail(error);
        return 0;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (!Ok)
            return [];
        if (count > end - position)
        {
            Fail(SnapshotError.Truncated);
            return [];
        }
        var span = data.Span.Slice(position, count);
        position += count;
        return span;
    }
}
