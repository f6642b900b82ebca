using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.Nodes.HostFiles;

/// <summary>What lies under a path, as statx(2) tells it: .NET does not say whether a file is a FIFO, nor whose it is.</summary>
/// <param name="Kind">What it is, for people: "a regular file", "a folder", "a FIFO".</param>
/// <param name="Owner">Number of the user who owns it.</param>
/// <param name="Mode">Who may do what with it.</param>
/// <param name="Bytes">Its size.</param>
public sealed record FileStatus(string Kind, uint Owner, UnixFileMode Mode, long Bytes)
{
    /// <summary><see cref="Kind"/> of a file that has an end and can be read without waiting for anybody.</summary>
    public const string Regular = "a regular file";

    /// <summary><see cref="Kind"/> of a folder.</summary>
    public const string Folder = "a folder";

    /// <summary><see cref="Kind"/> of a disk or a part of one.</summary>
    public const string BlockDevice = "a block device";

    /// <summary><see cref="Kind"/> of a name for another path.</summary>
    public const string SymbolicLink = "a symbolic link";

    // struct statx: its size, and where the fields are that are read here.
    private const int StatusBytes = 256, OwnerOffset = 20, ModeOffset = 28, SizeOffset = 40;

    private const int WorkingFolder = -100;   // AT_FDCWD
    private const int NotThroughLinks = 0x100;   // AT_SYMLINK_NOFOLLOW
    private const int OfTheDescriptor = 0x1000;   // AT_EMPTY_PATH
    private const uint Fields = 0x7ff;   // STATX_BASIC_STATS
    private const int NoSuchEntry = 2, NotAFolder = 20;   // ENOENT, ENOTDIR
    private const int ModeBits = 0xfff;

    /// <summary>Whether it is a regular file.</summary>
    public bool IsRegular => Kind == Regular;

    /// <summary>What a path names, and where a symbolic link is not followed, the link. Null if nothing is there.</summary>
    /// <exception cref="IOException">That cannot be found out.</exception>
    public static FileStatus? Of(string path, bool followLinks = false)
    {
        byte[] status = new byte[StatusBytes];
        if (StatusAtPath(WorkingFolder, path, followLinks ? 0 : NotThroughLinks, Fields, status) == 0)
        {
            return Read(status);
        }
        int error = Marshal.GetLastPInvokeError();
        return error is NoSuchEntry or NotAFolder ? null : throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    /// <summary>What was opened.</summary>
    /// <param name="file">It.</param>
    /// <param name="path">Its name, for errors.</param>
    /// <exception cref="IOException">That cannot be found out.</exception>
    internal static FileStatus Of(SafeFileHandle file, string path)
    {
        byte[] status = new byte[StatusBytes];
        return StatusUnder(file, "", OfTheDescriptor, Fields, status) == 0
            ? Read(status)
            : throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
    }

    private static FileStatus Read(byte[] status)
    {
        ushort mode = BinaryPrimitives.ReadUInt16LittleEndian(status.AsSpan(ModeOffset));
        string kind = (mode & 0xf000) switch   // S_IFMT
        {
            0x8000 => Regular,
            0x4000 => Folder,
            0xa000 => SymbolicLink,
            0x1000 => "a FIFO",
            0xc000 => "a socket",
            0x2000 => "a character device",
            0x6000 => BlockDevice,
            _ => "a file of an unknown kind",
        };
        return new FileStatus(kind, BinaryPrimitives.ReadUInt32LittleEndian(status.AsSpan(OwnerOffset)), (UnixFileMode)(mode & ModeBits),
            BinaryPrimitives.ReadInt64LittleEndian(status.AsSpan(SizeOffset)));
    }

    [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int StatusAtPath(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint fields, [In, Out] byte[] status);

    [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int StatusUnder(SafeFileHandle file, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint fields, [In, Out] byte[] status);
}
