using System.Globalization;
using System.Text;

namespace FtAkka.GuestKit;

/// <summary>
/// Writes an initramfs archive in the <c>newc</c> format that the Linux kernel unpacks (Linux
/// Documentation/driver-api/early-userspace/buffer-format). Owner is root, modification times are zero and i-nodes count
/// from one, so equal contents give equal bytes whoever builds them, and device nodes need no privilege.
/// </summary>
public sealed class CpioArchive
{
    private const string Magic = "070701";
    private const string TrailerName = "TRAILER!!!";
    private const int AlignmentBytes = 4;

    private readonly Stream _output;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private long _position;
    private uint _nextInode = 1;

    /// <summary>Starts an archive; the stream stays the caller's and is not closed.</summary>
    public CpioArchive(Stream output) => _output = output;

    /// <summary>True when an entry of that name has been written.</summary>
    public bool Contains(string name) => _names.Contains(Normalized(name));

    /// <summary>Adds a directory, and its parents where they are missing. Adding one twice is no error.</summary>
    public void AddDirectory(string name, int permissions = 0b111_101_101)
    {
        name = Normalized(name);
        if (name.Length == 0 || _names.Contains(name))
        {
            return;
        }

        AddParent(name);
        WriteEntry(name, FileType.Directory, permissions, default, 0, 0);
    }

    /// <summary>Adds a regular file. Throws <see cref="ArgumentException"/> when the name is taken.</summary>
    public void AddFile(string name, int permissions, ReadOnlySpan<byte> content)
    {
        name = Normalized(name);
        AddParent(name);
        WriteEntry(name, FileType.Regular, permissions, content, 0, 0);
    }

    /// <summary>Adds a symbolic link. Throws <see cref="ArgumentException"/> when the name is taken.</summary>
    public void AddSymbolicLink(string name, string target)
    {
        name = Normalized(name);
        AddParent(name);
        WriteEntry(name, FileType.SymbolicLink, 0b111_111_111, Encoding.UTF8.GetBytes(target), 0, 0);
    }

    /// <summary>Adds a character device. The kernel opens <c>/dev/console</c> for the first process before anything is mounted.</summary>
    public void AddCharacterDevice(string name, int permissions, uint major, uint minor)
    {
        name = Normalized(name);
        AddParent(name);
        WriteEntry(name, FileType.CharacterDevice, permissions, default, major, minor);
    }

    /// <summary>Writes the trailer; nothing may be added after it.</summary>
    public void Finish()
    {
        WriteHeader(0, 0, 0, 0, 0, TrailerName);
        Pad();
    }

    private void AddParent(string name)
    {
        int slash = name.LastIndexOf('/');
        if (slash > 0)
        {
            AddDirectory(name[..slash]);
        }
    }

    private void WriteEntry(string name, FileType type, int permissions, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        if (!_names.Add(name))
        {
            throw new ArgumentException($"the archive already holds {name}", nameof(name));
        }

        WriteHeader(_nextInode++, (uint)type | (uint)permissions, (uint)content.Length, major, minor, name);
        Write(content);
        Pad();
    }

    private void WriteHeader(uint inode, uint mode, uint sizeBytes, uint major, uint minor, string name)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name + "\0");
        uint[] fields = [inode, mode, 0, 0, 1, 0, sizeBytes, 0, 0, major, minor, (uint)nameBytes.Length, 0];
        var header = new StringBuilder(Magic);
        foreach (uint field in fields)
        {
            header.Append(CultureInfo.InvariantCulture, $"{field:x8}");
        }

        Write(Encoding.ASCII.GetBytes(header.ToString()));
        Write(nameBytes);
        Pad();
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _output.Write(bytes);
        _position += bytes.Length;
    }

    private void Pad()
    {
        int missing = (int)((AlignmentBytes - (_position % AlignmentBytes)) % AlignmentBytes);
        Write(stackalloc byte[missing]);
    }

    private static string Normalized(string name) => name.Trim('/');

    /// <summary>File type bits of <c>st_mode</c> (POSIX sys/stat.h, values as Linux defines them).</summary>
    private enum FileType : uint
    {
        CharacterDevice = 0x2000,
        Directory = 0x4000,
        Regular = 0x8000,
        SymbolicLink = 0xa000,
    }
}
