using System.Runtime.InteropServices;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Executable memory below 2 GiB, mapped twice: one view is writable and never executable, the other executable and never
/// writable (W^X by dual mapping of one memfd), so emitted code can be patched without any page being both at one address.
/// </summary>
/// <remarks>Below 2 GiB so that rel32 jumps and 32-bit absolute operands reach everything emitted code refers to.</remarks>
internal sealed unsafe partial class HostCodeMemory : IDisposable
{
    private const int ProtRead = 1, ProtWrite = 2, ProtExec = 4, MapShared = 1, MapPrivate = 2, MapAnonymous = 0x20, Map32Bit = 0x40;
    private const nint MapFailed = -1;
    private readonly byte* _writable;
    private readonly nint _lowData;
    private readonly nuint _lowDataBytes;

    /// <summary>Maps <paramref name="sizeBytes"/> of code space and <paramref name="lowDataBytes"/> of ordinary data below 2 GiB.</summary>
    /// <exception cref="InvalidOperationException">The kernel refuses the mappings (address space below 2 GiB used up, or executable mappings forbidden).</exception>
    public HostCodeMemory(int sizeBytes, int lowDataBytes)
    {
        SizeBytes = sizeBytes;
        int fd = MemfdCreate("ftakka-code", 1);
        if (fd < 0)
        {
            throw new InvalidOperationException("memfd_create failed: FtAkka needs Linux 3.17 or later with memfd enabled.");
        }
        try
        {
            if (Ftruncate(fd, sizeBytes) != 0)
            {
                throw new InvalidOperationException($"cannot size the code cache to {sizeBytes} bytes.");
            }
            nint executable = Mmap(0, (nuint)sizeBytes, ProtRead | ProtExec, MapShared | Map32Bit, fd, 0);
            nint writable = Mmap(0, (nuint)sizeBytes, ProtRead | ProtWrite, MapShared, fd, 0);
            if (executable == MapFailed || writable == MapFailed)
            {
                throw new InvalidOperationException("cannot map the code cache executable below 2 GiB; is executable memory forbidden (SELinux execmem, noexec memfd)?");
            }
            Base = executable;
            _writable = (byte*)writable;
        }
        finally
        {
            _ = Close(fd);
        }
        _lowDataBytes = (nuint)lowDataBytes;
        _lowData = Mmap(0, _lowDataBytes, ProtRead | ProtWrite, MapPrivate | MapAnonymous | Map32Bit, -1, 0);
        if (_lowData == MapFailed)
        {
            throw new InvalidOperationException("cannot map engine data below 2 GiB: the low address space is used up.");
        }
    }

    /// <summary>Size of the code space.</summary>
    public int SizeBytes { get; }

    /// <summary>Address of the executable view.</summary>
    public nint Base { get; }

    /// <summary>Zero-filled, page-aligned data below 2 GiB.</summary>
    public byte* LowData => (byte*)_lowData;

    /// <summary>Where to write so that <paramref name="address"/> of the executable view changes.</summary>
    public byte* Writable(nint address) => _writable + (address - Base);

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Munmap(Base, (nuint)SizeBytes);
        _ = Munmap((nint)_writable, (nuint)SizeBytes);
        _ = Munmap(_lowData, _lowDataBytes);
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate")]
    private static partial int Ftruncate(int fd, long length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(nint address, nuint length);
}
