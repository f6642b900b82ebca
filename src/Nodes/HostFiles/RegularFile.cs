using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.Nodes.HostFiles;

/// <summary>
/// Reads whole files that somebody else has named or written. Opening a FIFO waits for a writer, and a device may have no end: what is not a regular
/// file within a limit is refused, and nothing is waited for. Every error names the file.
/// </summary>
public static class RegularFile
{
    // asm-generic/fcntl.h, as on x86.
    private const int ReadOnly = 0, WithoutWaiting = 0x800, NotThroughLinks = 0x20000, CloseOnExec = 0x80000;

    private const int NoSuchEntry = 2, Interrupted = 4, TooManyLinks = 40;   // ENOENT, EINTR, ELOOP

    /// <summary>Reads a file.</summary>
    /// <param name="path">Where it is.</param>
    /// <param name="bytesMax">A longer one is refused.</param>
    /// <param name="followLinks">Whether the path may be a symbolic link.</param>
    /// <exception cref="FileRefusedException">It is too long, or no regular file.</exception>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    /// <exception cref="IOException">It cannot be opened or read.</exception>
    public static byte[] Read(string path, int bytesMax, bool followLinks = true)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using SafeFileHandle file = OpenWithoutWaiting(path, followLinks);
        FileStatus status = FileStatus.Of(file, path);
        if (!status.IsRegular)
        {
            throw new FileRefusedException($"{path} is {status.Kind}, not {FileStatus.Regular}.");
        }
        if (status.Bytes > bytesMax)
        {
            throw new FileRefusedException($"{path} has {status.Bytes} bytes; at most {bytesMax} are read.");
        }
        return ReadAll(file, path, (int)status.Bytes);
    }

    /// <summary>Reads a file on a thread of its own, which is left behind where the storage does not answer in time.</summary>
    /// <param name="time">How long it may take.</param>
    /// <param name="path">Where it is.</param>
    /// <param name="bytesMax">A longer one is refused.</param>
    /// <exception cref="FileRefusedException">It is too long, or no regular file.</exception>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    /// <exception cref="IOException">It cannot be opened or read, or not in time.</exception>
    public static byte[] ReadWithin(TimeSpan time, string path, int bytesMax)
    {
        Task<byte[]> reading = Task.Factory.StartNew(() => Read(path, bytesMax), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return Task.WaitAny([reading], time) == 0
            ? reading.GetAwaiter().GetResult()
            : throw new IOException($"{path} was not read within {time.TotalSeconds} s: does its storage answer?");
    }

    private static SafeFileHandle OpenWithoutWaiting(string path, bool followLinks)
    {
        int descriptor = Open(path, ReadOnly | WithoutWaiting | CloseOnExec | (followLinks ? 0 : NotThroughLinks));
        if (descriptor >= 0)
        {
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }
        int error = Marshal.GetLastPInvokeError();
        string message = $"{path}: {Marshal.GetPInvokeErrorMessage(error)}.";
        throw error switch
        {
            NoSuchEntry => new FileNotFoundException(message, path),
            TooManyLinks when !followLinks => new FileRefusedException($"{path} is a symbolic link, not {FileStatus.Regular}."),
            _ => new IOException(message),
        };
    }

    /// <summary>Reads what the file had when it was looked at; less if it was cut meanwhile.</summary>
    private static byte[] ReadAll(SafeFileHandle file, string path, int bytes)
    {
        byte[] content = new byte[bytes];
        int filled = 0;
        while (filled < bytes)
        {
            nint read = ReadSome(file, ref content[filled], bytes - filled);
            if (read == 0)
            {
                return content[..filled];
            }
            if (read > 0)
            {
                filled += (int)read;
            }
            else if (Marshal.GetLastPInvokeError() is not Interrupted and var error)
            {
                throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}.");
            }
        }
        return content;
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint ReadSome(SafeFileHandle file, ref byte content, nint bytes);
}
