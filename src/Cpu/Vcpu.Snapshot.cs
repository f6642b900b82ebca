using FtAkka.Cpu.State;

namespace FtAkka.Cpu;

/// <summary>Snapshot and restore of the architectural state. RAM is saved by whoever owns it.</summary>
public sealed unsafe partial class Vcpu
{
    /// <summary>Version of the layout that <see cref="SaveState"/> writes.</summary>
    public const ushort StateVersion = 1;

    /// <summary>Bytes that <see cref="SaveState"/> writes.</summary>
    public static int StateBytes => sizeof(CpuState);

    /// <summary>Writes the architectural state. Equal states give equal bytes on every host; nothing cached is part of it.</summary>
    public void SaveState(Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, StateBytes);
        new ReadOnlySpan<byte>(_engine.State, sizeof(CpuState)).CopyTo(destination);
    }

    /// <summary>
    /// Takes over a state written by <see cref="SaveState"/> and forgets everything cached; RAM must be restored before the next
    /// <see cref="Run"/>. False, and nothing changed, when the bytes cannot be a CPU state.
    /// </summary>
    public bool TryRestoreState(ReadOnlySpan<byte> source)
    {
        if (source.Length != StateBytes)
        {
            return false;
        }
        fixed (byte* bytes = source)
        {
            CpuState candidate = *(CpuState*)bytes;
            if (!IsPlausible(candidate))
            {
                return false;
            }
            // A forged image must not unmask exceptions on the host.
            candidate.MxcsrHost = (candidate.MxcsrHost & 0xFFFF) | 0x1F80;
            candidate.Fx[0] |= 0x3F;
            *_engine.State = candidate;
        }
        _engine.ForgetEverything();
        return true;
    }

    private static bool IsPlausible(in CpuState s)
    {
        const ulong longMode = (1UL << 8) | (1UL << 10);
        const ulong pagingAndProtection = 0x8000_0001;
        return s.Cpl <= 3 && (s.Efer & longMode) == longMode && (s.Cr0 & pagingAndProtection) == pagingAndProtection
            && (s.MxcsrGuestMasks & ~0x1F80u) == 0 && s.Cr8 <= 15 && (s.Rflags & 2) != 0
            && (s.Halted | s.InterruptLine | s.NmiBlocked | s.NmiPending | s.Shutdown) <= 1;
    }
}
