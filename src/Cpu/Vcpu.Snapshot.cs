using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Engine;
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
        new ReadOnlySpan<byte>(Engine.State, sizeof(CpuState)).CopyTo(destination);
    }

    /// <summary>
    /// Takes over a state written by <see cref="SaveState"/> and forgets everything cached; RAM must be restored before the next
    /// <see cref="Run"/>. False, and nothing changed, when the bytes cannot be a CPU state.
    /// </summary>
    public bool TryRestoreState(ReadOnlySpan<byte> source)
    {
        ExecutionEngine engine = Engine;
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
            Sanitize(ref candidate);
            *engine.State = candidate;
        }
        engine.ForgetEverything();
        return true;
    }

    /// <summary>
    /// A forged image must neither unmask exceptions on the host nor bring in what no CPU of ours holds: whatever <see cref="SaveState"/>
    /// wrote stays as it is.
    /// </summary>
    private static void Sanitize(ref CpuState s)
    {
        const int controlWord = 0, statusWord = 2, pointers = 6, registers = 32, slot = 16, registerBytes = 10, unused = 160;
        const int errorSummary = 0x80, busy = 0x80;
        s.MxcsrHost = (s.MxcsrHost & 0xFFFF) | 0x1F80;
        s.FcwGuest = (ushort)((s.FcwGuest & 0x1F3F) | 0x40);
        fixed (byte* fx = s.Fx)
        {
            *(ushort*)(fx + controlWord) = (ushort)(s.FcwGuest | 0x3F);
            fx[statusWord] = (byte)(fx[statusWord] & ~errorSummary);
            fx[statusWord + 1] = (byte)(fx[statusWord + 1] & ~busy);
            new Span<byte>(fx + pointers, registers - pointers).Clear();
            for (int i = 0; i < 8; i++)
            {
                new Span<byte>(fx + registers + (i * slot) + registerBytes, slot - registerBytes).Clear();
            }
            new Span<byte>(fx + unused, 512 - unused).Clear();
        }
        s.Rflags &= Rflags.Defined;
    }

    private static bool IsPlausible(in CpuState s)
    {
        const ulong longMode = (1UL << 8) | (1UL << 10);
        const ulong pagingAndProtection = 0x8000_0001;
        return s.Cpl <= 3 && (s.Efer & longMode) == longMode && (s.Cr0 & pagingAndProtection) == pagingAndProtection
            && (s.Cr0 & ~Cr0.Defined) == 0 && (s.Cr4 & ~Cr4.Defined) == 0 && (s.Cr4 & Cr4.PhysicalAddressExtension) != 0
            && (s.Efer & ~Efer.Defined) == 0 && s.Cr3 >> CpuModel.PhysicalAddressBits == 0
            && s.InterruptShadow <= Shadow.MovSs && s.HeldBreakpoints <= 15
            && (s.MxcsrGuestMasks & ~0x1F80u) == 0 && s.Cr8 <= 15 && (s.Rflags & 2) != 0
            && (s.Halted | s.InterruptLine | s.NmiBlocked | s.NmiPending | s.Shutdown) <= 1;
    }
}
