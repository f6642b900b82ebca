using System.Buffers.Binary;
using System.Text;

namespace FtAkka.CpuBench;

/// <summary>The flat image of the benchmark programs: a table (see <c>bench/Cpu/header.S</c>) and position-independent code.</summary>
internal sealed class ProgramImage
{
    /// <summary>What every program may use, in bytes; its only argument is the address.</summary>
    public const int ArenaBytes = 32 << 20;

    private const int HeaderBytes = 8, EntryBytes = 16, NameBytes = 12;

    private ProgramImage(byte[] bytes, IReadOnlyList<(string Name, int Entry)> programs)
    {
        Bytes = bytes;
        Programs = programs;
    }

    public byte[] Bytes { get; }

    /// <summary>Name and offset of the entry point, in table order.</summary>
    public IReadOnlyList<(string Name, int Entry)> Programs { get; }

    /// <summary>The image that is built into this assembly.</summary>
    public static ProgramImage Load()
    {
        byte[] bytes = Resource("programs.bin");
        if (!bytes.AsSpan().StartsWith("FTCB"u8)) { throw new InvalidDataException("programs.bin does not start with its magic."); }
        int count = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4));
        var programs = new List<(string, int)>();
        for (int field = HeaderBytes; field < HeaderBytes + (count * EntryBytes); field += EntryBytes)
        {
            int entry = field + BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(field));
            programs.Add((Encoding.ASCII.GetString(bytes.AsSpan(field + 4, NameBytes)).TrimEnd('\0'), entry));
        }
        return new ProgramImage(bytes, programs);
    }

    /// <summary>A file that the project embeds.</summary>
    public static byte[] Resource(string name)
    {
        using Stream stream = typeof(ProgramImage).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidDataException($"The assembly lacks {name}.");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
