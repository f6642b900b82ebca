using System.Buffers.Binary;

namespace FtAkka.TinyGuests;

/// <summary>
/// One record of the journal workload: a sector of 64 little-endian words, namely the magic, the record's number, the checksum of
/// the record before, 60 words that follow from seed and number, and the checksum of all that.
/// </summary>
public static class JournalRecord
{
    /// <summary>Size of a record, and so its place: record N is sector N.</summary>
    public const int SizeBytes = 512;

    /// <summary>First word: "FTJOURNL".</summary>
    public const ulong Magic = 0x4c4e_5255_4f4a_5446;

    internal const int ContentWords = 60;

    /// <summary>The disk's first bytes after a number of records.</summary>
    public static byte[] Expected(ulong seed, int records)
    {
        byte[] disk = new byte[records * SizeBytes];
        ulong previous = GuestFold.Start;
        for (int number = 0; number < records; number++)
        {
            previous = Write(disk.AsSpan(number * SizeBytes, SizeBytes), seed, (ulong)number, previous);
        }

        return disk;
    }

    /// <summary>How many good records, each following the one before, a disk starts with.</summary>
    public static int CountGood(ReadOnlySpan<byte> disk, ulong seed)
    {
        ulong previous = GuestFold.Start;
        Span<byte> expected = stackalloc byte[SizeBytes];
        int number = 0;
        while ((number + 1) * SizeBytes <= disk.Length)
        {
            previous = Write(expected, seed, (ulong)number, previous);
            if (!disk.Slice(number * SizeBytes, SizeBytes).SequenceEqual(expected))
            {
                break;
            }

            number++;
        }

        return number;
    }

    /// <summary>Checksum of a record, as the guest prints it.</summary>
    public static ulong ChecksumOf(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadUInt64LittleEndian(record[^8..]);

    private static ulong Write(Span<byte> record, ulong seed, ulong number, ulong previous)
    {
        var random = new GuestRandom(unchecked((number + 1) * 0x2545_f491_4f6c_dd1d) ^ seed);
        var fold = new GuestFold();
        for (int word = 0; word < (SizeBytes / 8) - 1; word++)
        {
            ulong value = word switch { 0 => Magic, 1 => number, 2 => previous, _ => random.Next() };
            fold.Add(value);
            BinaryPrimitives.WriteUInt64LittleEndian(record[(word * 8)..], value);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(record[^8..], fold.Value);
        return fold.Value;
    }
}
