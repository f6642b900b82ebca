using System.Buffers.Binary;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Digest;

namespace FtAkka.Machine.Boot;

/// <summary>
/// Kernel and initial RAM disk, from which a machine starts at power-on and at each reset. Every replica of the machine has them, in memory that the guest
/// does not see. As one run of bytes: length of the kernel (8 bytes), length of the initial RAM disk (8), kernel, initial RAM disk.
/// </summary>
public sealed class BootFiles
{
    /// <summary>Largest kernel, and largest initial RAM disk.</summary>
    public const int FileBytesMax = 512 << 20;

    /// <summary>Most pages that they take.</summary>
    public const int PageCountMax = (int)((HeaderBytes + (2L * FileBytesMax) + GuestMemory.PageSizeBytes - 1) / GuestMemory.PageSizeBytes);

    private const int HeaderBytes = 16;

    private readonly byte[] header = new byte[HeaderBytes];

    /// <param name="kernel">The kernel's file.</param>
    /// <param name="initrd">The initial RAM disk; may be empty.</param>
    /// <exception cref="ArgumentException">One of them is longer than <see cref="FileBytesMax"/>.</exception>
    public BootFiles(ReadOnlyMemory<byte> kernel, ReadOnlyMemory<byte> initrd)
    {
        if (kernel.Length > FileBytesMax || initrd.Length > FileBytesMax)
            throw new ArgumentException($"Kernel and initial RAM disk may have {FileBytesMax >> 20} MiB each.");
        (Kernel, Initrd) = (kernel, initrd);
        BinaryPrimitives.WriteInt64LittleEndian(header, kernel.Length);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(8), initrd.Length);
        // Never 0, which stands for a machine whose files are not known.
        Hash = Math.Max(1, XxHash64.Hash(initrd.Span, XxHash64.Hash(kernel.Span)));
    }

    /// <summary>The kernel's file.</summary>
    public ReadOnlyMemory<byte> Kernel { get; }

    /// <summary>The initial RAM disk.</summary>
    public ReadOnlyMemory<byte> Initrd { get; }

    /// <summary>Hash of both, part of the machine's state.</summary>
    public ulong Hash { get; }

    /// <summary>Pages that they take as one run of bytes.</summary>
    public int PageCount => (int)((HeaderBytes + (long)Kernel.Length + Initrd.Length + GuestMemory.PageSizeBytes - 1) / GuestMemory.PageSizeBytes);

    /// <summary>The run of bytes, piece by piece.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Pieces => [header, Kernel, Initrd];

    /// <summary>A page of the run; behind its end there are zeroes.</summary>
    public byte[] Page(int index)
    {
        var page = new byte[GuestMemory.PageSizeBytes];
        var start = (long)index * page.Length;
        long pieceStart = 0;
        foreach (var piece in Pieces)
        {
            var from = Math.Max(start, pieceStart);
            var to = Math.Min(start + page.Length, pieceStart + piece.Length);
            if (from < to)
                piece.Span[(int)(from - pieceStart)..(int)(to - pieceStart)].CopyTo(page.AsSpan((int)(from - start)));
            pieceStart += piece.Length;
        }
        return page;
    }

    /// <summary>Reads the run of bytes, behind which there may be more; null if it is none.</summary>
    public static BootFiles? TryRead(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length < HeaderBytes)
            return null;
        var kernel = BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span);
        var initrd = BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span[8..]);
        if (kernel > FileBytesMax || initrd > FileBytesMax || kernel + initrd > (ulong)(bytes.Length - HeaderBytes))
            return null;
        return new BootFiles(bytes.Slice(HeaderBytes, (int)kernel), bytes.Slice(HeaderBytes + (int)kernel, (int)initrd));
    }
}
