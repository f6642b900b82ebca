using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Disks;

/// <summary>Giving space of a file back to its file system (Linux <c>fallocate(2)</c>).</summary>
internal static class SparseFile
{
    private const int KeepSize = 0x01;    // FALLOC_FL_KEEP_SIZE
    private const int PunchHole = 0x02;   // FALLOC_FL_PUNCH_HOLE

    /// <summary>
    /// Deallocates the range, which reads as zeroes afterwards. False if the file system cannot, or anything else went wrong: the caller
    /// then writes zeroes, and a real error shows there.
    /// </summary>
    public static bool TryPunchHole(SafeFileHandle file, long offset, long length) =>
        OperatingSystem.IsLinux() && FileAllocate(file, PunchHole | KeepSize, offset, length) == 0;

    [DllImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int FileAllocate(SafeFileHandle file, int mode, long offset, long length);
}
