using System.Runtime.InteropServices;

namespace FtAkka.Nodes.HostFiles;

/// <summary>
/// Small files that others read, and that a loss of power must not tear: written whole and made durable under another name first. No symbolic link is
/// followed. Every error names the file.
/// </summary>
public static class DurableFile
{
    private const int OpenDirectory = 0x10000 | 0x80000;   // O_RDONLY | O_DIRECTORY | O_CLOEXEC
    private const int AlreadyThere = 17;                   // EEXIST

    /// <summary>Gives a path to a new file, unless something has it: link(2). The folder is not made durable.</summary>
    /// <returns>Whether the path was free.</returns>
    /// <exception cref="IOException">The storage fails.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static bool TryCreate(string path, ReadOnlySpan<byte> content)
    {
        string temporary = WriteBeside(path, content);
        try
        {
            if (Link(temporary, path) == 0)
            {
                return true;
            }
            int error = Marshal.GetLastPInvokeError();
            return error == AlreadyThere ? false : throw Failure($"Cannot create {path}", error);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Gives a path to a new file, whatever had it: rename(2). Durable when it returns.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        string temporary = WriteBeside(path, content);
        try
        {
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Makes durable which files a folder has.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    public static void SyncFolder(string folder)
    {
        int file = Open(folder, OpenDirectory);
        if (file < 0)
        {
            throw Failure($"Cannot open {folder}", Marshal.GetLastPInvokeError());
        }
        int error = Sync(file) == 0 ? 0 : Marshal.GetLastPInvokeError();
        _ = Close(file);
        if (error != 0)
        {
            throw Failure($"Cannot make {folder} durable", error);
        }
    }

    private static string WriteBeside(string path, ReadOnlySpan<byte> content)
    {
        string temporary = Path.Combine(Path.GetDirectoryName(path)!, $".{Guid.NewGuid():N}.tmp");
        try
        {
            using var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write);
            file.Write(content);
            file.Flush(flushToDisk: true);
            return temporary;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new IOException($"Cannot write {path}: {failed.Message}", failed);
        }
    }

    private static IOException Failure(string what, int error) => new($"{what}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");

    [DllImport("libc", EntryPoint = "link", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string created);

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Sync(int file);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int file);
}
