using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// Contents of pages or blocks as messages of a copy have them, one behind the other: i64 number, u8 1 if content follows and 0 for zeroes, content.
/// Little-endian.
/// </summary>
internal static class NumberedContents
{
    private const int HeaderBytes = 9;

    /// <summary>Bytes that one takes.</summary>
    public static int SizeOf(ImmutableArray<byte> content) => HeaderBytes + content.Length;

    /// <summary>Writes them.</summary>
    public static ImmutableArray<byte> Write<T>(IReadOnlyList<T> items, Func<T, (long Number, ImmutableArray<byte> Content)> partsOf)
    {
        ArgumentNullException.ThrowIfNull(items);
        int length = 0;
        foreach (var item in items)
            length = checked(length + SizeOf(partsOf(item).Content));
        var bytes = new byte[length];
        int at = 0;
        foreach (var item in items)
        {
            var (number, content) = partsOf(item);
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), number);
            bytes[at + 8] = content.Length > 0 ? (byte)1 : (byte)0;
            content.CopyTo(bytes, at + HeaderBytes);
            at += SizeOf(content);
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(bytes);
    }

    /// <summary>Reads them; null if the bytes are none, or a number is not below <paramref name="count"/>.</summary>
    /// <param name="bytes">What <see cref="Write"/> wrote, perhaps.</param>
    /// <param name="count">Pages of the machine, or blocks of the disk.</param>
    /// <param name="lengthOf">Bytes of one of them.</param>
    /// <param name="make">One of them, from its number and content.</param>
    public static IReadOnlyList<T>? Read<T>(ImmutableArray<byte> bytes, long count, Func<long, int> lengthOf, Func<long, ImmutableArray<byte>, T> make)
    {
        var items = new List<T>();
        int at = 0;
        while (at < bytes.Length)
        {
            if (bytes.Length - at < HeaderBytes)
                return null;
            long number = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan()[at..]);
            byte kind = bytes[at + 8];
            at += HeaderBytes;
            if (kind > 1 || number < 0 || number >= count)
                return null;
            int content = kind == 1 ? lengthOf(number) : 0;
            if (bytes.Length - at < content)
                return null;
            items.Add(make(number, bytes.AsSpan(at, content).ToImmutableArray()));
            at += content;
        }
        return items;
    }
}
