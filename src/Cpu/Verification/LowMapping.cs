using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// Zeroed memory of this process below 2 GiB, so that 32-bit addresses and displacements reach it. An executable mapping has two
/// addresses for the same pages, one writable and one executable: no page is ever both.
/// </summary>
internal sealed unsafe class LowMapping : IDisposable
{
    private readonly NativeMapping _writable;
    private readonly NativeMapping? _executable;

    /// <summary>Maps <paramref name="lengthBytes"/> (rounded up to pages).</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The host refuses, for example because its limit on mappings is reached.</exception>
    /// <exception cref="InvalidOperationException">The address space below 2 GiB is used up.</exception>
    public LowMapping(int lengthBytes, bool executable)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lengthBytes);
        ulong length = ((ulong)lengthBytes + 4095) & ~4095UL;
        if (executable)
        {
            (_writable, _executable) = NativeMapping.CreateDualMapped("ftakka-native", length);
        }
        else
        {
            _writable = NativeMapping.CreateBelow2GiB(length);
        }
    }

    public int LengthBytes => (int)_writable.SizeBytes;

    /// <summary>The pages as bytes, for writing.</summary>
    public Span<byte> Bytes => new(_writable.Pointer, LengthBytes);

    public byte* Pointer => _writable.Pointer;

    /// <summary>Address under which emitted code reaches the pages: the executable one if there is one.</summary>
    public ulong Address => (ulong)(_executable ?? _writable).Pointer;

    public void Dispose()
    {
        _writable.Dispose();
        _executable?.Dispose();
    }
}
