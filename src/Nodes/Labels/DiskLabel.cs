using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace FtAkka.Nodes.Labels;

/// <summary>Whose an image is. The content of a label's file: a line of JSON, and a line with its SHA-256.</summary>
/// <param name="Cluster">Identity of the cluster.</param>
/// <param name="Vm">The VM.</param>
/// <param name="Image">Identity of the disk: 128 random bits as 32 hexadecimal digits, chosen when a VM first started with it. All nodes' copies of a disk that is not shared have the same.</param>
/// <param name="Generation">Of a disk that is not shared: a generation of the VM in which this image was written. The last one, but for those that its owner began while it had it open.</param>
/// <param name="Copy">Of a disk that is not shared: it was a backup's then, complete, and may lack what came last.</param>
public sealed record DiskLabel(string Cluster, string Vm, string Image, ulong Generation = 0, bool Copy = false)
{
    /// <summary>No label is longer: names are limited.</summary>
    internal const int BytesMax = 4096;

    private const int IdentityBytes = 16;

    private const byte LineEnd = (byte)'\n';

    /// <summary>An identity that no other disk has.</summary>
    internal static string NewIdentity() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdentityBytes));

    /// <summary>Whether a text may be the identity of a disk.</summary>
    internal static bool IsIdentity(string text) => text.Length == 2 * IdentityBytes && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The content of its file.</summary>
    internal byte[] Write()
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(this), LineEnd];
        return [.. line, .. Checksum(line)];
    }

    /// <summary>The label that a file holds; null if it holds none that is whole.</summary>
    internal static DiskLabel? TryRead(ReadOnlySpan<byte> content)
    {
        int lineEnd = content.IndexOf(LineEnd);
        if (lineEnd < 0 || !content[(lineEnd + 1)..].SequenceEqual(Checksum(content[..(lineEnd + 1)])))
        {
            return null;
        }
        try
        {
            return JsonSerializer.Deserialize<DiskLabel>(content[..lineEnd]) is { Cluster: not null, Image: not null } label && VmProfile.IsName(label.Vm) && IsIdentity(label.Image) ? label : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[] Checksum(ReadOnlySpan<byte> line) => Encoding.ASCII.GetBytes($"sha256 {Convert.ToHexStringLower(SHA256.HashData(line))}\n");
}
