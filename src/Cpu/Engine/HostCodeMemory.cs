using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Executable memory below 2 GiB, mapped twice: one view is writable and never executable, the other executable and never
/// writable (W^X by dual mapping of one memfd), so emitted code can be patched without any page being both at one address.
/// </summary>
/// <remarks>Below 2 GiB so that rel32 jumps and 32-bit absolute operands reach everything emitted code refers to.</remarks>
internal sealed unsafe class HostCodeMemory : IDisposable
{
    private readonly NativeMapping _writable, _executable, _lowData;

    /// <summary>Maps <paramref name="sizeBytes"/> of code space and <paramref name="lowDataBytes"/> of ordinary data below 2 GiB.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The kernel refuses the mappings, for one because executable memory is forbidden.</exception>
    /// <exception cref="InvalidOperationException">The address space below 2 GiB is used up.</exception>
    public HostCodeMemory(int sizeBytes, int lowDataBytes)
    {
        SizeBytes = sizeBytes;
        (_writable, _executable) = NativeMapping.CreateDualMapped("ftakka-code", (ulong)sizeBytes);
        try
        {
            _lowData = NativeMapping.CreateBelow2GiB((ulong)lowDataBytes);
        }
        catch
        {
            _writable.Dispose();
            _executable.Dispose();
            throw;
        }
    }

    /// <summary>Size of the code space.</summary>
    public int SizeBytes { get; }

    /// <summary>Address of the executable view.</summary>
    public nint Base => (nint)_executable.Pointer;

    /// <summary>Zero-filled, page-aligned data below 2 GiB.</summary>
    public byte* LowData => _lowData.Pointer;

    /// <summary>Where to write so that <paramref name="address"/> of the executable view changes.</summary>
    public byte* Writable(nint address) => _writable.Pointer + (address - Base);

    /// <inheritdoc/>
    public void Dispose()
    {
        _writable.Dispose();
        _executable.Dispose();
        _lowData.Dispose();
    }
}
