using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>Instructions executed in C#, one at a time.</summary>
internal sealed unsafe partial class ExecutionEngine
{
    /// <summary>Executes exactly one instruction, with breakpoints before it and debug traps behind it (Intel SDM vol. 3B, 17.3.1).</summary>
    private void StepOne(BlockMode mode)
    {
        bool breakpoints = DebugTraps.AnyEnabled(_s);
        if (breakpoints)
        {
            ulong reached = DebugTraps.InstructionBreakpoints(_s, _s->Rip);
            if (reached != 0)
            {
                ExceptionDelivery.DeliverDebug(_context, reached);
                CountDelivery();
                return;
            }
        }
        ulong hits = _s->HeldBreakpoints;
        _s->HeldBreakpoints = 0;
        _context.WatchHits = 0;
        _context.Watching = breakpoints;
        _delivered = false;
        _trapByResult = false;
        _stepping = true;
        // TF counts as it is before the instruction, except where a fast system call loads it.
        bool trap = (_s->Rflags & TrapFlag) != 0;
        ulong icount = _s->Icount;
        ExecuteOne(mode);
        _context.Watching = false;
        _stepping = false;
        if (_s->Icount == icount)
        {
            return;
        }
        hits |= _context.WatchHits;
        if (_s->InterruptShadow == Shadow.MovSs)
        {
            _s->HeldBreakpoints = (byte)hits;
            return;
        }
        if (_trapByResult)
        {
            trap = (_s->Rflags & TrapFlag) != 0;
        }
        if (trap && !_delivered)
        {
            hits |= DebugTraps.SingleStep;
        }
        if (hits != 0)
        {
            ExceptionDelivery.DeliverDebug(_context, hits);
        }
    }

    /// <summary>The instruction was an INT: its handler runs with TF clear, so nothing traps behind it.</summary>
    private bool _delivered;

    /// <summary>SYSCALL or SYSRET: the trap behind it depends on the TF it loaded, so that a kernel can mask it.</summary>
    private bool _trapByResult;

    private bool _stepping;

    /// <summary>Fetches and executes the instruction at RIP, and nothing else.</summary>
    private void ExecuteOne(BlockMode mode)
    {
        mode &= ~(BlockMode.Single | BlockMode.Bounce);
        _statistics.SingleSteps++;
        Block? block = GetBlock(_s->Rip, mode | BlockMode.Single, out _);
        if (block == null)
        {
            return;
        }
        if (block.InstructionCount == 0)
        {
            ExecuteSpecial(block.Special, mode);
            return;
        }
        if (_context.Watching)
        {
            Foresee(DecodeAt(block, 0));
        }
        ulong icount = _s->Icount;
        byte shadow = _s->InterruptShadow;
        _chunk = 1;
        _es->Budget = (ulong)(BudgetBias + 1);
        RunEmitted(block.Entry);
        if (_s->Icount != icount && _s->InterruptShadow == shadow)
        {
            _s->InterruptShadow = 0;
        }
    }

    /// <summary>Notes which data breakpoints the accesses of an emitted instruction will hit: afterwards its address registers may have changed.</summary>
    private void Foresee(in Instruction instruction)
    {
        DescribeAccesses(instruction);
        for (int i = 0; i < _accessCount; i++)
        {
            ref Access access = ref _accesses[i];
            _context.WatchHits |= DebugTraps.AccessBreakpoints(_s, access.Address, access.Size, access.Write ? BreakpointAccess.Write : BreakpointAccess.Read);
        }
    }

    /// <summary>Executes the instruction at RIP in C#: a special one, one the model lacks, or one that traps in the current mode.</summary>
    private void ExecuteSpecial(in Instruction instruction, BlockMode mode)
    {
        mode &= ~(BlockMode.Single | BlockMode.Bounce);
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(instruction.Code);
        if (instruction.IsInvalid || rule.Class == InstructionClass.Undefined || (rule.Features & ~InstructionFeatures.Ftvm64V1) != 0)
        {
            // Too long is told apart only now: it is rare, and the bytes are still there.
            Raise(instruction.IsInvalid && IsTooLong(_s->Rip) ? GuestFault.Gp() : GuestFault.Of(Vector.InvalidOpcode));
            return;
        }
        if (!CheckFpuState(rule))
        {
            return;
        }
        if (_definesAll && DefinedResults.Handles(instruction))
        {
            CountOne(DefinedResults.Execute(_context, instruction), instruction.Code);
            return;
        }
        // With x87 exceptions unmasked, the status word has an error summary bit that only our handlers know.
        bool ours = (mode & BlockMode.X87Unmasked) != 0 && SystemInstructions.Handles(instruction.Code);
        if (rule.Class == InstructionClass.Reemit && !ours)
        {
            ExecuteGuarded(instruction, rule, mode);
            return;
        }
        if (SystemInstructions.UsesX87(instruction.Code))
        {
            SpillX87(); // not for every instruction: saving and loading the bank takes twice as long as all else about an exit
        }
        if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv)
        {
            CountOne(Division.Execute(_context, instruction, _definesAll), instruction.Code);
            return;
        }
        // While the guest is being debugged, each iteration of a string instruction may trap.
        bool stepping = _context.Watching || (_s->Rflags & TrapFlag) != 0;
        InstructionOutcome outcome = SystemInstructions.Execute(_context, instruction, stepping ? 1 : (ulong)_left, out ulong ticks);
        if (ticks != 0)
        {
            Count((long)ticks);
        }
        Conclude(outcome, instruction.Code);
    }

    /// <summary>Concludes an instruction that is not in the table of system instructions: one tick, and the end of RF and the shadow, if it retired.</summary>
    private void CountOne(InstructionOutcome outcome, Code code)
    {
        if (outcome == InstructionOutcome.Retired)
        {
            _s->InterruptShadow = 0;
            _s->Rflags &= ~ResumeFlag;
            Count(1);
        }
        Conclude(outcome, code);
    }

    private void Conclude(InstructionOutcome outcome, Code code)
    {
        switch (outcome)
        {
            case InstructionOutcome.Fault:
                Raise(_context.Fault);
                break;
            case InstructionOutcome.Halt:
                _s->Halted = 1;
                break;
            case InstructionOutcome.Delivered:
                _delivered = true;
                break;
            case InstructionOutcome.Retired when code is Code.Syscall or Code.Sysretq:
                _trapByResult = true;
                if (!_stepping && (_s->Rflags & TrapFlag) != 0)
                {
                    ExceptionDelivery.DeliverDebug(_context, DebugTraps.SingleStep);
                }
                break;
            default:
                break;
        }
    }

    /// <summary>#UD, #NM and #MF that come before the instruction itself (Intel SDM vol. 3A, 2.5 and 13.1). False: raised.</summary>
    private bool CheckFpuState(in InstructionRule rule)
    {
        bool emulation = (_s->Cr0 & Cr0.Emulation) != 0;
        bool taskSwitched = (_s->Cr0 & Cr0.TaskSwitched) != 0;
        if (rule.NeedsSseCheck)
        {
            if (emulation || (_s->Cr4 & Cr4.OsFxsr) == 0)
            {
                Raise(GuestFault.Of(Vector.InvalidOpcode));
                return false;
            }
            if (taskSwitched)
            {
                Raise(GuestFault.Of(Vector.DeviceNotAvailable));
                return false;
            }
        }
        if (!rule.NeedsFpuCheck || rule.Class == InstructionClass.Special)
        {
            return true; // The handlers of special instructions check for themselves.
        }
        if (emulation && rule.Has(InstructionTraits.Mmx))
        {
            Raise(GuestFault.Of(Vector.InvalidOpcode));
            return false;
        }
        bool monitor = (_s->Cr0 & Cr0.MonitorCoprocessor) != 0;
        if (rule.Has(InstructionTraits.FpuWait) ? monitor && taskSwitched : emulation || taskSwitched)
        {
            Raise(GuestFault.Of(Vector.DeviceNotAvailable));
            return false;
        }
        if (!rule.Has(InstructionTraits.NoPendingFpuError) && X87ErrorPending())
        {
            Raise(GuestFault.Of(Vector.X87Error));
            return false;
        }
        return true;
    }

    /// <summary>An x87 exception is flagged that the guest has unmasked. The host has all masked, so the error summary bit is ours to derive.</summary>
    private bool X87ErrorPending()
    {
        if ((_s->FcwGuest & 0x3F) == 0x3F)
        {
            return false;
        }
        SpillX87();
        return (*(ushort*)(_s->Fx + 2) & ~_s->FcwGuest & 0x3F) != 0;
    }
}
