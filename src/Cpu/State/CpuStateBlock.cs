using System.Runtime.InteropServices;

namespace FtAkka.Cpu.State;

/// <summary>Owner of one zeroed <see cref="CpuState"/> in native memory, aligned to 64 bytes. There is no finalizer: emitted code may hold the pointer.</summary>
internal sealed unsafe class CpuStateBlock : IDisposable
{
    private const nuint AlignmentBytes = 64;

    public CpuStateBlock()
    {
        Pointer = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), AlignmentBytes);
        NativeMemory.Clear(Pointer, (nuint)sizeof(CpuState));
    }

    /// <summary>The state; null after <see cref="Dispose"/>.</summary>
    public CpuState* Pointer { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Pointer == null) return;
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }
}
