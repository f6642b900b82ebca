using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Disks;

/// <summary>Reading what of a file is in the host's memory (Linux <c>preadv2(2)</c> with <c>RWF_NOWAIT</c>).</summary>
internal static class CachedFile
{
    private const int NoWait = 0x08;   // RWF_NOWAIT

    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public nint Base;
        public nint Length;
    }

    /// <summary>The bytes, if all are in memory; null if not, at the end of the file, or where the file system cannot tell.</summary>
    public static byte[]? TryRead(SafeFileHandle file, long offset, int length)
    {
        byte[] data = GC.AllocateUninitializedArray<byte>(length);
        GCHandle pin = GCHandle.Alloc(data, GCHandleType.Pinned);
        try
        {
            var vector = new IoVector { Base = pin.AddrOfPinnedObject(), Length = length };
            return ReadVector(file, ref vector, 1, offset, NoWait) == length ? data : null;
        }
        finally
        {
            pin.Free();
        }
    }

    [DllImport("libc", EntryPoint = "preadv2")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint ReadVector(SafeFileHandle file, ref IoVector vectors, int count, long offset, int flags);
}
