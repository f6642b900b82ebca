using System.ComponentModel;
using System.Runtime.InteropServices;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// Zeroed memory of this process below 2 GiB, so that 32-bit addresses and displacements reach it. An executable mapping has two
/// addresses for the same pages, one writable and one executable: no page is ever both.
/// </summary>
internal sealed unsafe partial class LowMapping : IDisposable
{
    private const int ProtRead = 1, ProtWrite = 2, ProtExec = 4;
    private const int MapShared = 1, Map32Bit = 0x40;

    private readonly nuint _length;
    private byte* _writable;
    private byte* _executable;

    /// <summary>Maps <paramref name="lengthBytes"/> (rounded up to pages).</summary>
    /// <exception cref="Win32Exception">The host refuses, for example because its limit on mappings is reached.</exception>
    public LowMapping(int lengthBytes, bool executable)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lengthBytes);
        _length = (nuint)((lengthBytes + 4095) & ~4095);
        int file = MemfdCreate("ftakka-native", 0);
        if (file < 0) { throw new Win32Exception(Marshal.GetLastPInvokeError(), "memfd_create"); }
        try
        {
            if (Ftruncate(file, (long)_length) != 0) { throw new Win32Exception(Marshal.GetLastPInvokeError(), "ftruncate"); }
            _writable = Map(file, ProtRead | ProtWrite);
            _executable = executable ? Map(file, ProtRead | ProtExec) : _writable;
        }
        finally
        {
            _ = Close(file); // The mappings keep the memory; a failing close of a memfd has no consequence.
        }
    }

    public int LengthBytes => (int)_length;

    /// <summary>The pages as bytes, for writing.</summary>
    public Span<byte> Bytes => new(_writable, (int)_length);

    public byte* Pointer => _writable;

    /// <summary>Address under which emitted code reaches the pages: the executable one if there is one.</summary>
    public ulong Address => (ulong)_executable;

    public void Dispose()
    {
        if (_writable is not null)
        {
            _ = Munmap(_writable, _length);
            if (_executable != _writable) { _ = Munmap(_executable, _length); }
            _writable = _executable = null;
        }
    }

    private byte* Map(int file, int protection)
    {
        nint address = Mmap(0, _length, protection, MapShared | Map32Bit, file, 0);
        return address != -1 ? (byte*)address : throw new Win32Exception(Marshal.GetLastPInvokeError(), "mmap");
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Ftruncate(int file, long length);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(byte* address, nuint length);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int file);
}
