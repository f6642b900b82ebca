using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Disks;

/// <summary>
/// Recognises images of other monitors by the marks at their beginning. Taken for a raw disk, such a file would show its guest a disk
/// without partitions, and the guest's first write would damage it.
/// </summary>
internal static class ImageFormat
{
    private const int HeaderBytes = 512;

    private static readonly (string Name, int Offset, byte[] Mark)[] Known =
    [
        ("qcow2", 0, [(byte)'Q', (byte)'F', (byte)'I', 0xFB]),
        ("VHDX", 0, [.. "vhdxfile"u8]),
        ("VHD", 0, [.. "conectix"u8]),              // dynamic images have a copy of the footer in front
        ("VMDK", 0, [.. "KDMV"u8]),
        ("VMDK", 0, [.. "# Disk DescriptorFile"u8]),
        ("VDI", 0x40, [0x7F, 0x10, 0xDA, 0xBE]),
        ("QED", 0, [.. "QED\0"u8]),
    ];

    /// <summary>Name of the format that the file shows; null for one that may be raw.</summary>
    public static string? Recognise(SafeFileHandle file)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        header = header[..RandomAccess.Read(file, header, 0)];
        foreach ((string name, int offset, byte[] mark) in Known)
        {
            if (header.Length >= offset + mark.Length && header[offset..].StartsWith(mark))
            {
                return name;
            }
        }
        return null;
    }
}
