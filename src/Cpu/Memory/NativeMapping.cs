using System.ComponentModel;
using System.Runtime.InteropServices;

namespace FtAkka.Cpu.Memory;

/// <summary>
/// A page-aligned, zero-filled host mapping. It lives until <see cref="Dispose"/>: there is no finalizer, because raw pointers into it are
/// held by emitted code that the garbage collector cannot see.
/// </summary>
internal sealed unsafe partial class NativeMapping : IDisposable
{
    private const int ProtectionRead = 1, ProtectionWrite = 2, ProtectionExecute = 4;
    private const int MapShared = 1, MapPrivate = 2, MapAnonymous = 0x20, Map32Bit = 0x40, MapNoReserve = 0x4000;
    private const uint MemfdCloseOnExec = 1;
    private const int AdviseHugePage = 14;
    private const ulong Low2GiB = 0x8000_0000;

    private readonly int _descriptor;

    private NativeMapping(byte* pointer, ulong sizeBytes, int descriptor)
    {
        Pointer = pointer;
        SizeBytes = sizeBytes;
        _descriptor = descriptor;
    }

    /// <summary>First byte; null after <see cref="Dispose"/>.</summary>
    public byte* Pointer { get; private set; }

    public ulong SizeBytes { get; }

    /// <summary>Memory backed by an anonymous file (memfd), pages allocated by the host at first touch.</summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    public static NativeMapping CreateFileBacked(string name, ulong sizeBytes)
    {
        int descriptor = MemfdCreate(name, MemfdCloseOnExec);
        if (descriptor < 0) throw Failure($"memfd_create for {sizeBytes} bytes");
        if (FTruncate(descriptor, (long)sizeBytes) != 0)
        {
            Win32Exception failure = Failure($"ftruncate of a memfd to {sizeBytes} bytes");
            _ = Close(descriptor);
            throw failure;
        }
        nint address = MMap(0, (nuint)sizeBytes, ProtectionRead | ProtectionWrite, MapShared | MapNoReserve, descriptor, 0);
        if (address == -1)
        {
            Win32Exception failure = Failure($"mmap of a {sizeBytes} byte memfd");
            _ = Close(descriptor);
            throw failure;
        }
        // Only a hint: hosts that do not allow huge shared pages refuse it, and nothing but speed depends on it.
        _ = MAdvise(address, (nuint)sizeBytes, AdviseHugePage);
        return new NativeMapping((byte*)address, sizeBytes, descriptor);
    }

    /// <summary>Private memory, allocated by the host at first touch: large sparse tables cost only what is used.</summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    public static NativeMapping CreateSparse(ulong sizeBytes) =>
        CreateAnonymous(sizeBytes, ProtectionRead | ProtectionWrite, MapNoReserve);

    /// <summary>Private memory below 2 GiB, so that emitted code reaches it by a 32-bit displacement.</summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    /// <exception cref="InvalidOperationException">The host gave memory above 2 GiB.</exception>
    public static NativeMapping CreateBelow2GiB(ulong sizeBytes, bool executable = false)
    {
        NativeMapping mapping = CreateAnonymous(
            sizeBytes, ProtectionRead | ProtectionWrite | (executable ? ProtectionExecute : 0), Map32Bit);
        if ((ulong)mapping.Pointer + sizeBytes <= Low2GiB) return mapping;
        mapping.Dispose();
        throw new InvalidOperationException(
            $"The host gave no {sizeBytes} byte mapping below 2 GiB, which emitted code needs for its 32-bit addresses.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Pointer == null) return;
        _ = MUnmap((nint)Pointer, (nuint)SizeBytes);
        if (_descriptor >= 0) _ = Close(_descriptor);
        Pointer = null;
    }

    private static NativeMapping CreateAnonymous(ulong sizeBytes, int protection, int flags)
    {
        nint address = MMap(0, (nuint)sizeBytes, protection, MapPrivate | MapAnonymous | flags, -1, 0);
        if (address == -1) throw Failure($"mmap of {sizeBytes} bytes");
        return new NativeMapping((byte*)address, sizeBytes, -1);
    }

    private static Win32Exception Failure(string what)
    {
        int error = Marshal.GetLastPInvokeError();
        return new Win32Exception(error, $"{what} failed: {Marshal.GetPInvokeErrorMessage(error)}");
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int FTruncate(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int MUnmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int MAdvise(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
