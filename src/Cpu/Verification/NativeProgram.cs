namespace FtAkka.Cpu.Verification;

/// <summary>
/// A flat, position-independent program without writable data of its own, loaded into this process and called as a function
/// (System V ABI: <c>long entry(void* arena)</c>). The native side of the CPU benchmark. Only for code of our own.
/// </summary>
internal sealed unsafe class NativeProgram : IDisposable
{
    private readonly LowMapping _code;
    private readonly LowMapping _arena;

    /// <summary>Loads <paramref name="image"/> and reserves an arena for it.</summary>
    public NativeProgram(ReadOnlySpan<byte> image, int arenaBytes)
    {
        _code = new LowMapping(image.Length, executable: true);
        _arena = new LowMapping(arenaBytes, executable: false);
        image.CopyTo(_code.Bytes);
    }

    /// <summary>Calls the function at <paramref name="entryOffset"/> in the image.</summary>
    public long Call(int entryOffset)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)entryOffset, (uint)_code.LengthBytes);
        return ((delegate* unmanaged<void*, long>)(_code.Address + (ulong)entryOffset))(_arena.Pointer);
    }

    public void Dispose()
    {
        _code.Dispose();
        _arena.Dispose();
    }
}
