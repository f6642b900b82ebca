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

    /// <summary>Smaller RAM gains nothing and would be zeroed 2 MiB at a time.</summary>
    private const ulong HugePageRamBytesMin = 64UL << 20;

    private NativeMapping(byte* pointer, ulong sizeBytes)
    {
        Pointer = pointer;
        SizeBytes = sizeBytes;
    }

    /// <summary>First byte; null after <see cref="Dispose"/>.</summary>
    public byte* Pointer { get; private set; }

    public ulong SizeBytes { get; }

    /// <summary>
    /// Guest RAM: private memory in huge pages where the host has them, allocated at first touch. Not a memfd: hosts seldom allow huge
    /// pages for shared memory, and random reads over 256 MiB then cost 40 % more.
    /// </summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    public static NativeMapping CreateRam(ulong sizeBytes)
    {
        NativeMapping mapping = CreateAnonymous(sizeBytes, ProtectionRead | ProtectionWrite, MapNoReserve);
        if (sizeBytes >= HugePageRamBytesMin)
        {
            // Only a hint: nothing but speed depends on it.
            _ = MAdvise((nint)mapping.Pointer, (nuint)sizeBytes, AdviseHugePage);
        }
        return mapping;
    }

    /// <summary>
    /// One anonymous file (memfd) mapped twice: writable, and executable below 2 GiB. No page is writable and executable at one
    /// address.
    /// </summary>
    /// <exception cref="Win32Exception">The host refused: no memfd, or executable mappings are forbidden.</exception>
    /// <exception cref="InvalidOperationException">The host gave memory above 2 GiB.</exception>
    public static (NativeMapping Writable, NativeMapping Executable) CreateDualMapped(string name, ulong sizeBytes)
    {
        int descriptor = MemfdCreate(name, MemfdCloseOnExec);
        if (descriptor < 0) throw Failure($"memfd_create for {sizeBytes} bytes");
        try
        {
            if (FTruncate(descriptor, (long)sizeBytes) != 0) throw Failure($"ftruncate of a memfd to {sizeBytes} bytes");
            nint writable = MMap(0, (nuint)sizeBytes, ProtectionRead | ProtectionWrite, MapShared, descriptor, 0);
            if (writable == -1) throw Failure($"mmap of a {sizeBytes} byte memfd");
            var first = new NativeMapping((byte*)writable, sizeBytes);
            nint executable = MMap(0, (nuint)sizeBytes, ProtectionRead | ProtectionExecute, MapShared | Map32Bit, descriptor, 0);
            if (executable == -1)
            {
                Win32Exception failure = Failure($"mmap of {sizeBytes} executable bytes below 2 GiB");
                first.Dispose();
                throw failure;
            }
            var second = new NativeMapping((byte*)executable, sizeBytes);
            if ((ulong)executable + sizeBytes <= Low2GiB) return (first, second);
            first.Dispose();
            second.Dispose();
            throw Above2GiB(sizeBytes);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static InvalidOperationException Above2GiB(ulong sizeBytes) => new(
        $"The host gave no {sizeBytes} byte mapping below 2 GiB, which emitted code needs for its 32-bit addresses.");

    /// <summary>Private memory, allocated by the host at first touch: large sparse tables cost only what is used.</summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    public static NativeMapping CreateSparse(ulong sizeBytes) =>
        CreateAnonymous(sizeBytes, ProtectionRead | ProtectionWrite, MapNoReserve);

    /// <summary>Private memory below 2 GiB, so that emitted code reaches it by a 32-bit displacement.</summary>
    /// <exception cref="Win32Exception">The host refused.</exception>
    /// <exception cref="InvalidOperationException">The host gave memory above 2 GiB.</exception>
    public static NativeMapping CreateBelow2GiB(ulong sizeBytes)
    {
        NativeMapping mapping = CreateAnonymous(sizeBytes, ProtectionRead | ProtectionWrite, Map32Bit);
        if ((ulong)mapping.Pointer + sizeBytes <= Low2GiB) return mapping;
        mapping.Dispose();
        throw Above2GiB(sizeBytes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Pointer == null) return;
        _ = MUnmap((nint)Pointer, (nuint)SizeBytes);
        Pointer = null;
    }

    private static NativeMapping CreateAnonymous(ulong sizeBytes, int protection, int flags)
    {
        nint address = MMap(0, (nuint)sizeBytes, protection, MapPrivate | MapAnonymous | flags, -1, 0);
        if (address == -1) throw Failure($"mmap of {sizeBytes} bytes");
        return new NativeMapping((byte*)address, sizeBytes);
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
