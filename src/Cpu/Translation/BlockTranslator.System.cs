using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Engine;
using FtAkka.Cpu.Memory;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// System instructions that kernels execute all the time, emitted for their common case: interrupt flag, flag images, SWAPGS, SYSCALL and SYSRET, reads of
/// control and segment registers. What is not common leaves before anything has changed and runs in C# (<see cref="SystemInstructions"/>), whose results the
/// emission repeats bit for bit. Only in regular blocks: there TF, RF and the interrupt shadow are clear and no debug register is armed.
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>CF PF AF ZF SF DF OF: they live in the host's flags, all others in <see cref="FrameLayout.SystemFlags"/>.</summary>
    private const int EmittedFlags = 0xCD5;
    private const int InterruptFlag = 1 << 9;

    /// <summary>What a host flags image has besides the emitted flags: bit 1 and IF.</summary>
    private const int HostFlags = 0x202;

    private readonly SystemAddresses _addresses;

    /// <summary>Where the block stands before an STI whose shadow it hides; none: the last instruction was another.</summary>
    private (Instruction Instruction, int Position)? _openShadow;

    private bool IsPlainSupervisor => (_block.Mode & (BlockMode.User | BlockMode.Inner)) == 0;

    /// <summary>Emits a special instruction, if it is one of those and this block may. <paramref name="open"/>: whether the block goes on behind it.</summary>
    private bool TryEmitSystem(in Instruction instruction, out bool open)
    {
        open = true;
        if (!_regular)
        {
            return false;
        }
        switch (instruction.Code)
        {
            case Code.Cli when IsPlainSupervisor:
                EmitSetInterruptFlag(0);
                return true;
            case Code.Sti when IsPlainSupervisor && _openShadow is null:
                _openShadow = (instruction, _asm.Position);
                EmitSti(instruction);
                return true;
            case Code.Pushfq:
                EmitPushFlags();
                return true;
            case Code.Popfq when IsPlainSupervisor:
                EmitPopFlags(instruction);
                return true;
            case Code.Swapgs when IsPlainSupervisor:
                EmitSwapGs();
                return true;
            case Code.Mov_r64_cr when IsPlainSupervisor && AddressOfControlRegister(instruction.Op1Register) != 0:
                _asm.LoadAbsolute(HostReg.Scratch, AddressOfControlRegister(instruction.Op1Register));
                EmitWriteRegister(GprNumber(instruction.Op0Register), HostReg.Scratch, 8);
                return true;
            case Code.Mov_rm16_Sreg or Code.Mov_r32m16_Sreg or Code.Mov_r64m16_Sreg when instruction.Op0Kind == OpKind.Register:
                _asm.LoadAbsoluteWord(HostReg.Scratch, _addresses.Selector(instruction.Op1Register));
                EmitWriteRegister(GprNumber(instruction.Op0Register), HostReg.Scratch, instruction.Code switch
                {
                    Code.Mov_rm16_Sreg => 2,
                    Code.Mov_r32m16_Sreg => 4,
                    _ => 8,
                });
                return true;
            case Code.Syscall when _block.Mode == BlockMode.User:
                EmitSyscall(instruction);
                open = false;
                return true;
            case Code.Sysretq when _block.Mode == 0:
                EmitSysret(instruction);
                open = false;
                return true;
            default:
                return TryEmitString(instruction);
        }
    }

    /// <summary>
    /// The block must not end behind an STI: whoever stops there would have to see its shadow, which emitted code does not keep. Takes the STI back and makes
    /// it the special instruction that the block ends with.
    /// </summary>
    private bool TryEndWithOpenShadow()
    {
        if (_openShadow is not { } shadow)
        {
            return false;
        }
        _openShadow = null;
        _asm.Rewind(shadow.Position);
        _index--;
        _decoder.IP = shadow.Instruction.NextIP;
        EndWithSpecial(shadow.Instruction);
        return true;
    }

    private void EmitExitUnlessZero(in Instruction instruction)
    {
        int zero = _asm.Jrcxz();
        EmitRunInCsharp(instruction);
        _asm.Bind(zero);
    }

    /// <summary>IF of the guest, without a look at the flags: rotate it to the top, shift it out, shift the new one in, rotate back.</summary>
    private void EmitSetInterruptFlag(int value)
    {
        const int toTop = 10, fromBottom = 64 - 9;
        _asm.LoadFrame(HostReg.Addend, FrameLayout.SystemFlags);
        _asm.Rorx(HostReg.Addend, HostReg.Addend, toTop);
        _asm.Lea(HostReg.Addend, HostReg.Addend, HostReg.Addend, 0, value);
        _asm.Rorx(HostReg.Addend, HostReg.Addend, fromBottom);
        _asm.StoreFrame(FrameLayout.SystemFlags, HostReg.Addend);
    }

    /// <summary>
    /// With no interrupt pending none can come up before the instruction behind STI has retired, since only instructions and the end of a run raise the line,
    /// and the block does not end here: the shadow holds nothing back and is left out.
    /// </summary>
    private void EmitSti(in Instruction instruction)
    {
        _asm.LoadAbsoluteByte(HostReg.Scratch, _addresses.InterruptLine);
        EmitExitUnlessZero(instruction);
        EmitSetInterruptFlag(1);
    }

    private void EmitPushFlags()
    {
        _asm.MovFromFlags(HostReg.Scratch);
        _asm.MovImmediate(HostReg.Addend, EmittedFlags);
        _asm.Pext(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.Pdep(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.LoadFrame(HostReg.Addend, FrameLayout.SystemFlags);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 0);
        _asm.StoreFrame(FrameLayout.TempB, HostReg.Scratch);
        EmitPushCheck(8);
        _asm.LoadFrame(HostReg.Scratch, FrameLayout.TempB);
        _asm.Store(HostReg.Address, HostReg.Addend, HostReg.Scratch, 8);
        _asm.Mov(HostReg.GuestRsp, HostReg.Address);
    }

    /// <summary>POPFQ at CPL 0 of an image that changes nothing but IF and the emitted flags, with no interrupt pending that a set IF would let in.</summary>
    private void EmitPopFlags(in Instruction instruction)
    {
        const int variable = EmittedFlags | InterruptFlag;
        EmitCheck(HostReg.GuestRsp, 8, write: false, stack: true);
        _asm.Load(HostReg.Address, HostReg.GuestRsp, HostReg.Addend, 8);
        // Equal in all other bits? a + ~b + 1 = 0.
        _asm.MovImmediate(HostReg.Addend, unchecked((ulong)~(long)variable));
        _asm.LoadFrame(HostReg.Scratch, FrameLayout.SystemFlags);
        _asm.Pext(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.Pext(HostReg.Addend, HostReg.Address, HostReg.Addend);
        _asm.Not(HostReg.Addend);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 1);
        EmitExitUnlessZero(instruction);
        _asm.LoadAbsoluteByte(HostReg.Scratch, _addresses.InterruptLine);
        EmitExitUnlessZero(instruction);
        EmitLoadFlags(HostReg.Address);
        _asm.Lea(HostReg.GuestRsp, HostReg.GuestRsp, HostReg.None, 0, 8);
    }

    /// <summary>Makes a full image of RFLAGS (bit 1 set, below 2^32) the guest's: the emitted flags become the host's, the others go to the frame.</summary>
    private void EmitLoadFlags(int image)
    {
        _asm.Mov32(HostReg.Scratch, image);
        _asm.AndClobberingFlags(HostReg.Scratch, ~EmittedFlags);
        _asm.StoreFrame(FrameLayout.SystemFlags, HostReg.Scratch);
        if (image != HostReg.Address)
        {
            _asm.Mov32(HostReg.Address, image);
        }
        _asm.AndClobberingFlags(HostReg.Address, EmittedFlags);
        _asm.OrClobberingFlags(HostReg.Address, HostFlags);
        _asm.MovToFlags(HostReg.Address);
    }

    private void EmitSwapGs()
    {
        _asm.LoadAbsolute(HostReg.Scratch, _addresses.KernelGsBase);
        _asm.LoadFrame(HostReg.Addend, FrameLayout.GsBase);
        _asm.StoreFrame(FrameLayout.GsBase, HostReg.Scratch);
        _asm.StoreAbsolute(_addresses.KernelGsBase, HostReg.Addend);
    }

    /// <summary>CR8 is the platform's.</summary>
    private long AddressOfControlRegister(Register register) => register switch
    {
        Register.CR0 => _addresses.Cr0,
        Register.CR2 => _addresses.Cr2,
        Register.CR3 => _addresses.Cr3,
        Register.CR4 => _addresses.Cr4,
        _ => 0,
    };

    /// <summary>SYSCALL from a plain CPL 3 block into plain CPL 0 blocks (<see cref="EngineState.FastSyscallOff"/>).</summary>
    private void EmitSyscall(in Instruction instruction)
    {
        const int r11 = 11;
        _asm.LoadAbsoluteByte(HostReg.Scratch, _addresses.FastSyscallOff);
        EmitExitUnlessZero(instruction);
        // From here on nothing leaves until the flags are loaded anew, so they may be clobbered.
        _asm.MovFromFlags(r11);
        _asm.AndClobberingFlags(r11, EmittedFlags);
        _asm.LoadFrame(HostReg.Scratch, FrameLayout.SystemFlags);
        _asm.Lea(r11, r11, HostReg.Scratch, 0, 0);
        _asm.LoadAbsolute(HostReg.Address, _addresses.Fmask);
        _asm.Not(HostReg.Address);
        _asm.AndClobberingFlags64(HostReg.Address, r11);
        _asm.OrClobberingFlags(HostReg.Address, (int)Rflags.Fixed1);
        EmitLoadFlags(HostReg.Address);
        _asm.MovImmediate(HostReg.GuestRcx, instruction.NextIP);
        EmitEnterPrivilege(0, _addresses.SyscallCs, _addresses.SyscallSs);
        _asm.LoadAbsolute(HostReg.Address, _addresses.Lstar);
        EmitIndirectJump(SoftTlb.SupervisorSet, ExitKind.ModeSwitch);
    }

    /// <summary>SYSRETQ to the lower half with an image that holds nothing but IF and the emitted flags, and no interrupt pending.</summary>
    private void EmitSysret(in Instruction instruction)
    {
        const int r11 = 11, lowerHalfBits = 47;
        // All terms are below 2^56 and none is negative, so the sum is zero only if each is.
        _asm.LoadAbsoluteByte(HostReg.Scratch, _addresses.FastSyscallOff);
        _asm.LoadAbsoluteByte(HostReg.Addend, _addresses.InterruptLine);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 0);
        _asm.MovImmediate(HostReg.Addend, lowerHalfBits);
        _asm.Shrx(HostReg.Addend, HostReg.GuestRcx, HostReg.Addend);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 0);
        _asm.MovImmediate(HostReg.Addend, unchecked((ulong)~(long)(EmittedFlags | HostFlags)));
        _asm.Pext(HostReg.Addend, r11, HostReg.Addend);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 0);
        EmitExitUnlessZero(instruction);
        _asm.Mov32(HostReg.Address, r11);
        _asm.OrClobberingFlags(HostReg.Address, (int)Rflags.Fixed1);
        EmitLoadFlags(HostReg.Address);
        EmitEnterPrivilege(3, _addresses.SysretCs, _addresses.SysretSs);
        _asm.Mov(HostReg.Address, HostReg.GuestRcx);
        EmitIndirectJump(SoftTlb.UserSet, ExitKind.ModeSwitch);
    }

    /// <summary>CPL, CS and SS. The segments are flat; limit, selector and attributes come as one word that the engine keeps ready.</summary>
    private void EmitEnterPrivilege(int level, long code, long stack)
    {
        const int limitAndSelector = 8;
        _asm.StoreAbsoluteImmediate(_addresses.Cpl, level, wide: false);
        _asm.StoreAbsoluteImmediate(_addresses.Cs, 0, wide: true);
        _asm.LoadAbsolute(HostReg.Scratch, code);
        _asm.StoreAbsolute(_addresses.Cs + limitAndSelector, HostReg.Scratch);
        _asm.StoreAbsoluteImmediate(_addresses.Ss, 0, wide: true);
        _asm.LoadAbsolute(HostReg.Scratch, stack);
        _asm.StoreAbsolute(_addresses.Ss + limitAndSelector, HostReg.Scratch);
    }
}
