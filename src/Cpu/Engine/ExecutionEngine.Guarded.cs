using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// SIMD and x87 instructions while the guest has some of their exceptions unmasked. The host keeps all masked, so each instruction runs
/// alone, and the exception flags behind it tell what would have happened.
/// </summary>
internal sealed unsafe partial class ExecutionEngine
{
    /// <summary>IE, DE and ZE: found before the result is computed, so the operation has no other effect (Intel SDM vol. 1, 4.9.1 and 11.5.2).</summary>
    private const uint BeforeComputing = 0x07;
    private const uint AllExceptions = 0x3F;
    private const int StatusWord = 2, X87ImageBytes = 160;
    private const ushort StackFaultFlag = 0x40, ConditionC1 = 0x200;

    /// <summary>Set while an x87 store runs on its bounce buffer: decides whether the bytes reach memory.</summary>
    private bool _guardingStore;

    private void ExecuteGuarded(in Instruction instruction, in InstructionRule rule, BlockMode mode)
    {
        BlockMode plain = mode & ~(BlockMode.SimdUnmasked | BlockMode.X87Unmasked | BlockMode.X87Trapped | BlockMode.SseTrapped);
        if ((rule.Traits & InstructionTraits.SimdError) != 0 && (mode & BlockMode.SimdUnmasked) != 0)
        {
            GuardSimd(plain);
        }
        else if (rule.NeedsFpuCheck && !rule.Has(InstructionTraits.Mmx) && (mode & BlockMode.X87Unmasked) != 0)
        {
            GuardX87(instruction, rule, plain);
        }
        else
        {
            ExecuteOne(plain);
        }
    }

    private void GuardSimd(BlockMode plain)
    {
        const uint flushToZero = 1 << 15, underflow = 0x10;
        SpillX87();
        CpuState before = *_s;
        long left = _left;
        uint unmasked = ~(before.MxcsrGuestMasks >> 7) & AllExceptions;
        _s->MxcsrHost &= ~AllExceptions;
        if ((unmasked & underflow) != 0)
        {
            // A masked underflow is reported only for inexact results, an unmasked one for every tiny result. Flushing to zero makes
            // the host report them all; where nothing is tiny it changes nothing.
            _s->MxcsrHost |= flushToZero;
        }
        ExecuteOne(plain);
        uint raised = _s->MxcsrHost & AllExceptions;
        if (_s->Icount == before.Icount)
        {
            _s->MxcsrHost = before.MxcsrHost; // the memory operand faulted
            return;
        }
        if ((raised & unmasked) == 0)
        {
            _s->MxcsrHost = before.MxcsrHost | raised;
            return;
        }
        // The destination stays as it was; the flags tell what happened (Intel SDM vol. 1, 11.5.2).
        if ((raised & unmasked & BeforeComputing) != 0)
        {
            raised &= BeforeComputing;
        }
        SpillX87();
        *_s = before;
        _left = left;
        _s->MxcsrHost |= raised;
        Raise(GuestFault.Of((_s->Cr4 & Cr4.OsXmmExceptions) != 0 ? Vector.SimdError : Vector.InvalidOpcode));
    }

    /// <summary>
    /// The #MF comes with the next waiting instruction; here only what an unmasked exception does to this one: it leaves operands and stack alone
    /// if found before computing, or if the result goes to memory (Intel SDM vol. 1, 8.5).
    /// </summary>
    private void GuardX87(in Instruction instruction, in InstructionRule rule, BlockMode plain)
    {
        SpillX87();
        byte* image = stackalloc byte[X87ImageBytes];
        new ReadOnlySpan<byte>(_s->Fx, X87ImageBytes).CopyTo(new Span<byte>(image, X87ImageBytes));
        ulong flags = _s->Rflags;
        ulong icount = _s->Icount;
        ref ushort status = ref *(ushort*)(_s->Fx + StatusWord);
        ushort statusBefore = status;
        status = (ushort)(status & ~(AllExceptions | StackFaultFlag));
        if (rule.Access == OperandAccess.Write)
        {
            if (_context.Watching)
            {
                Foresee(instruction);
            }
            _guardingStore = true;
            ExecuteOdd(instruction, plain);
            _guardingStore = false;
        }
        else
        {
            ExecuteOne(plain);
        }
        SpillX87();
        if (_s->Icount == icount)
        {
            status = statusBefore; // the memory operand faulted
            return;
        }
        ushort after = status;
        if (!IsX87Suppressed(rule.Access == OperandAccess.Write))
        {
            status = (ushort)(after | (statusBefore & (AllExceptions | StackFaultFlag)));
            return;
        }
        uint raised = after & (AllExceptions | StackFaultFlag);
        if ((raised & ~_s->FcwGuest & BeforeComputing) != 0)
        {
            raised &= BeforeComputing | StackFaultFlag;
        }
        new ReadOnlySpan<byte>(image, X87ImageBytes).CopyTo(new Span<byte>(_s->Fx, X87ImageBytes));
        status = (ushort)(statusBefore | raised);
        if ((raised & StackFaultFlag) != 0)
        {
            // C1 tells overflow from underflow of the stack.
            status = (ushort)((status & ~ConditionC1) | (after & ConditionC1));
        }
        _s->Rflags = (_s->Rflags & ~EmittedFlags) | (flags & EmittedFlags);
    }

    /// <summary>Whether what the last x87 instruction raised keeps its result from being stored.</summary>
    private bool IsX87Suppressed(bool toMemory)
    {
        const uint rangeErrors = 0x18; // OE and UE
        SpillX87();
        uint unmasked = *(ushort*)(_s->Fx + StatusWord) & ~(uint)_s->FcwGuest & AllExceptions;
        return (unmasked & (toMemory ? BeforeComputing | rangeErrors : BeforeComputing)) != 0;
    }
}
