using System.Buffers.Binary;
using System.IO.Compression;

namespace FtAkka.GuestKit.Tests;

public sealed class KernelImageTests
{
    private static readonly byte[] Elf = [0x7f, (byte)'E', (byte)'L', (byte)'F', .. Enumerable.Range(0, 300).Select(i => (byte)i)];

    [Fact]
    public void Lz4_payload_gives_the_elf_file()
    {
        byte[] block = [0xf0, .. Lz4LegacyFrameTests.Continuation(Elf.Length - 15), .. Elf];
        byte[] image = BzImage([.. Lz4LegacyFrameTests.Frame(block), .. BitConverter.GetBytes(Elf.Length)]);

        Assert.True(KernelImage.TryExtractVmlinux(image, out byte[] vmlinux, out _));
        Assert.Equal(Elf, vmlinux);
    }

    [Fact]
    public void Gzip_payload_gives_the_elf_file()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(Elf);
        }

        Assert.True(KernelImage.TryExtractVmlinux(BzImage(packed.ToArray()), out byte[] vmlinux, out _));
        Assert.Equal(Elf, vmlinux);
    }

    [Theory]
    [InlineData(new byte[] { 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 0, 0, 0 }, "XZ")]
    [InlineData(new byte[] { 0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0, 0 }, "Zstandard")]
    [InlineData(new byte[] { 1, 2, 3, 4, 5, 6, 1, 0, 0, 0 }, "unknown")]
    public void Other_packings_are_named(byte[] payload, string expected)
    {
        Assert.False(KernelImage.TryExtractVmlinux(BzImage(payload), out _, out string reason));
        Assert.Contains(expected, reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_kernel_is_refused()
    {
        byte[] cut = BzImage(new byte[100])[..^50];
        byte[] old = BzImage(new byte[100]);
        old[0x206] = 7;

        Assert.Contains("HdrS", Refusal(new byte[4096]), StringComparison.Ordinal);
        Assert.Contains("HdrS", Refusal([1, 2, 3]), StringComparison.Ordinal);
        Assert.Contains("damaged", Refusal(cut), StringComparison.Ordinal);
        Assert.Contains("2.07", Refusal(old), StringComparison.Ordinal);
        Assert.Contains("no ELF", Refusal(BzImage([.. Lz4LegacyFrameTests.Frame([0x40, 1, 2, 3, 4]), 4, 0, 0, 0])), StringComparison.Ordinal);
    }

    private static string Refusal(byte[] image) =>
        Assert.Throws<InvalidDataException>(() => KernelImage.TryExtractVmlinux(image, out _, out _)).Message;

    /// <summary>Two setup sectors and then the payload after 0x80 bytes of code, protocol 2.15.</summary>
    private static byte[] BzImage(byte[] payload)
    {
        byte[] image = new byte[(2 * 512) + 0x80 + payload.Length];
        image[0x1f1] = 1;
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x206), 0x20f);
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(0x248), 0x80);
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(0x24c), payload.Length);
        payload.CopyTo(image.AsSpan((2 * 512) + 0x80));
        return image;
    }
}
