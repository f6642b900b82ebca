using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Arbiters;

/// <summary>
/// The content of a record's file: a line of JSON, and a line with its SHA-256. A file without a line's end is of a build that wrote no checksum, and
/// holds the JSON alone.
/// </summary>
internal static class OwnershipRecordText
{
    /// <summary>No record is longer: names are limited.</summary>
    public const int BytesMax = 4096;

    private const byte LineEnd = (byte)'\n';

    /// <summary>The content for a record.</summary>
    public static byte[] Write(OwnershipRecord record)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(record), LineEnd];
        return [.. line, .. Checksum(line)];
    }

    /// <summary>The record that a file holds which by its name is one of this VM and generation; null, and what is wrong with it, if it does not hold that.</summary>
    public static OwnershipRecord? TryRead(ReadOnlySpan<byte> content, string vm, ulong generation, out string wrong)
    {
        int lineEnd = content.IndexOf(LineEnd);
        ReadOnlySpan<byte> json = lineEnd < 0 ? content : content[..lineEnd];
        wrong = content.IsEmpty ? "it is empty"
            : lineEnd >= 0 && !content[(lineEnd + 1)..].SequenceEqual(Checksum(content[..(lineEnd + 1)])) ? "it is torn or damaged: its checksum does not fit"
            : "";
        if (wrong.Length > 0)
        {
            return null;
        }
        OwnershipRecord? record;
        try
        {
            record = JsonSerializer.Deserialize<OwnershipRecord>(json);
        }
        catch (JsonException)
        {
            wrong = "it is torn, or no record";
            return null;
        }
        wrong = record is null || string.IsNullOrEmpty(record.Node) ? "it names no owner"
            : record.Vm != vm || record.Generation != generation ? $"it is the record of generation {record.Generation} of '{record.Vm}'"
            : "";
        return wrong.Length == 0 ? record : null;
    }

    private static byte[] Checksum(ReadOnlySpan<byte> line) => Encoding.ASCII.GetBytes($"sha256 {Convert.ToHexStringLower(SHA256.HashData(line))}\n");
}
