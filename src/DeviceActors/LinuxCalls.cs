using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors;

/// <summary>System calls that the base library does not offer. Linux x86-64 only; error numbers as there.</summary>
internal static class LinuxCalls
{
    private const int SetFlags = 4;             // F_SETFL
    private const int GetFlags = 3;             // F_GETFL
    private const int NonBlocking = 0x800;      // O_NONBLOCK
    private const int CloseOnExecute = 0x80000; // EFD_CLOEXEC
    private const short Readable = 1;           // POLLIN
    private const int BrokenWaitMilliseconds = 100;

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int File;
        public short Wanted;
        public short Happened;
    }

    public static int Control(SafeFileHandle file, ulong request, byte[] argument) => IoControl(file, request, argument);

    public static void SetNonBlocking(SafeFileHandle file)
    {
        int flags = FileControl(file, GetFlags, 0);
        if (flags < 0 || FileControl(file, SetFlags, flags | NonBlocking) < 0)
        {
            throw LastError("Cannot switch the file to non-blocking");
        }
    }

    public static SafeFileHandle NewEvent()
    {
        int file = EventFile(0, CloseOnExecute);
        return file >= 0 ? new SafeFileHandle(file, ownsHandle: true) : throw LastError("Cannot create an event");
    }

    public static void Signal(SafeFileHandle eventFile)
    {
        if (Write(eventFile, BitConverter.GetBytes(1UL), sizeof(ulong)) != sizeof(ulong))
        {
            throw LastError("Cannot signal an event");
        }
    }

    /// <summary>Returns when either file is readable. A file in error is looked at again only after a while, so that nothing spins.</summary>
    public static void WaitReadable(SafeFileHandle file, SafeFileHandle wake)
    {
        PollEntry[] entries =
        [
            new PollEntry { File = (int)file.DangerousGetHandle(), Wanted = Readable },
            new PollEntry { File = (int)wake.DangerousGetHandle(), Wanted = Readable },
        ];
        int ready = Poll(entries, (ulong)entries.Length, -1);
        if (ready > 0 && ((entries[0].Happened | entries[1].Happened) & Readable) == 0)
        {
            Thread.Sleep(BrokenWaitMilliseconds);
        }
    }

    /// <summary>Whether the network of the calling thread has an interface of this name.</summary>
    public static bool HasInterface(string name) => InterfaceIndex(name) != 0;

    public static IOException LastError(string what)
    {
        int error = Marshal.GetLastPInvokeError();
        return new IOException($"{what}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
    }

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern nint Read(SafeFileHandle file, [Out] byte[] buffer, nint count);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern nint Write(SafeFileHandle file, byte[] buffer, nint count);

    [DllImport("libc", EntryPoint = "if_nametoindex", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint InterfaceIndex([MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int IoControl(SafeFileHandle file, ulong request, [In, Out] byte[] argument);

    [DllImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int FileControl(SafeFileHandle file, int command, int argument);

    [DllImport("libc", EntryPoint = "poll", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Poll([In, Out] PollEntry[] entries, ulong count, int timeoutMilliseconds);

    [DllImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int EventFile(uint value, int flags);
}
