using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>Instructions executed in C#, one at a time.</summary>
internal sealed unsafe partial class ExecutionEngine
{
    /// <summary>Executes exactly one instruction, with single-step and breakpoint traps.</summary>
    private void StepOne(BlockMode mode)
    {
        mode &= ~(BlockMode.Single | BlockMode.Bounce);
        _statistics.SingleSteps++;
        if (DebugTraps.AnyInstructionEnabled(_s) && (_s->Rflags & ResumeFlag) == 0)
        {
            ulong hit = DebugTraps.InstructionBreakpoints(_s, _s->Rip);
            if (hit != 0)
            {
                ExceptionDelivery.DeliverDebug(_context, hit);
                CountDelivery();
                return;
            }
        }
        bool trap = (_s->Rflags & TrapFlag) != 0;
        byte shadow = _s->InterruptShadow;
        Block? block = GetBlock(_s->Rip, mode | BlockMode.Single, out _);
        if (block == null)
        {
            return;
        }
        ulong icount = _s->Icount;
        _delivered = false;
        if (block.InstructionCount == 0)
        {
            ExecuteSpecial(block.Special, mode);
        }
        else
        {
            _chunk = 1;
            _es->Budget = (ulong)(BudgetBias + 1);
            RunEmitted(block.Entry);
            if (_s->Icount != icount && _s->InterruptShadow == shadow)
            {
                _s->InterruptShadow = 0;
            }
        }
        const byte afterMovSs = 2; // MOV SS also holds debug traps for one instruction (Intel SDM vol. 3A, 6.8.3)
        if (trap && _s->InterruptShadow != afterMovSs && _s->Icount != icount && !_delivered && (_s->Rflags & TrapFlag) != 0)
        {
            const ulong singleStep = 1UL << 14; // DR6.BS
            ExceptionDelivery.DeliverDebug(_context, singleStep);
        }
    }

    private bool _delivered;

    /// <summary>Executes the instruction at RIP in C#: a special one, one the model lacks, or one that traps in the current mode.</summary>
    private void ExecuteSpecial(in Instruction instruction, BlockMode mode)
    {
        mode &= ~(BlockMode.Single | BlockMode.Bounce);
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(instruction.Code);
        if (instruction.IsInvalid || rule.Class == InstructionClass.Undefined || (rule.Features & ~InstructionFeatures.Ftvm64V1) != 0)
        {
            Raise(GuestFault.Of(Vector.InvalidOpcode));
            return;
        }
        if (!CheckFpuState(instruction, rule))
        {
            return;
        }
        // With x87 exceptions unmasked, the status word has an error summary bit that only our handlers know.
        bool ours = (mode & BlockMode.X87Unmasked) != 0 && SystemInstructions.Handles(instruction.Code);
        if (rule.Class == InstructionClass.Reemit && !ours)
        {
            ExecuteGuarded(rule, mode);
            return;
        }
        SpillX87();
        InstructionOutcome outcome;
        ulong ticks;
        if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv)
        {
            outcome = Division.Execute(_context, instruction);
            ticks = outcome == InstructionOutcome.Retired ? 1UL : 0;
        }
        else
        {
            outcome = SystemInstructions.Execute(_context, instruction, (ulong)_left, out ticks);
        }
        if (ticks != 0)
        {
            Count((long)ticks);
        }
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
            default:
                break;
        }
    }

    /// <summary>#UD, #NM and #MF that come before the instruction itself (Intel SDM vol. 3A, 2.5 and 13.1). False: raised.</summary>
    private bool CheckFpuState(in Instruction instruction, in InstructionRule rule)
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
        _ = instruction;
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

    /// <summary>Runs a re-emitted instruction alone and looks at the exception flags behind it, because the guest has unmasked some.</summary>
    private void ExecuteGuarded(in InstructionRule rule, BlockMode mode)
    {
        BlockMode plain = mode & ~(BlockMode.SimdUnmasked | BlockMode.X87Unmasked | BlockMode.X87Trapped | BlockMode.SseTrapped);
        if ((rule.Traits & InstructionTraits.SimdError) == 0)
        {
            StepOne(plain);
            return;
        }
        CpuState before = *_s;
        long left = _left;
        _s->MxcsrHost &= ~0x3Fu;
        StepOne(plain);
        uint raised = _s->MxcsrHost & 0x3F;
        uint unmasked = raised & ~(before.MxcsrGuestMasks >> 7);
        if (_s->Icount == before.Icount || unmasked == 0)
        {
            _s->MxcsrHost |= before.MxcsrHost & 0x3F;
            return;
        }
        // The destination stays as it was; the flags tell what happened (Intel SDM vol. 1, 11.5.2).
        *_s = before;
        _left = left;
        _s->MxcsrHost |= raised;
        const ulong osXmmExcpt = 1UL << 10;
        Raise(GuestFault.Of((_s->Cr4 & osXmmExcpt) != 0 ? Vector.SimdError : Vector.InvalidOpcode));
    }
}
