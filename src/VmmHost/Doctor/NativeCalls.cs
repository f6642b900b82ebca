using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.VmmHost.Doctor;

/// <summary>
/// The C library calls that the checks try. Declared with DllImport and plain values, because generated marshalling (LibraryImport)
/// is unsafe code, which this project does not allow.
/// </summary>
internal static class NativeCalls
{
    public const int ProtectionRead = 1;
    public const int ProtectionWrite = 2;
    public const int ProtectionExecute = 4;
    public const int MapShared = 1;
    public const int Map32Bit = 0x40;
    public const uint MemfdCloseOnExec = 1;
    public const nuint TunSetInterface = 0x400454ca;
    public static readonly nint MapFailed = -1;

    [DllImport("libc", EntryPoint = "memfd_create", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern int MemfdCreate(byte[] zeroTerminatedName, uint flags);

    [DllImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern int Truncate(SafeFileHandle descriptor, long lengthBytes);

    [DllImport("libc", EntryPoint = "mmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern nint Map(nint address, nuint lengthBytes, int protection, int flags, SafeFileHandle descriptor, long offset);

    [DllImport("libc", EntryPoint = "munmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern int Unmap(nint address, nuint lengthBytes);

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern int Control(SafeFileHandle descriptor, nuint request, byte[] argument);

    /// <summary>The text of the last call's error.</summary>
    public static string LastError() => Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
}
