using FtAkka.Cpu.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>Effective addresses and the soft-TLB check.</summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>Host register of a guest register, or <see cref="HostReg.None"/> when it is spilled (r12 to r15).</summary>
    private static int HostOf(int guest) => guest switch
    {
        1 => HostReg.GuestRcx,
        4 => HostReg.GuestRsp,
        >= 12 => HostReg.None,
        _ => guest,
    };

    /// <summary>Frame slot of a spilled guest register.</summary>
    private static int SlotOf(int guest) => FrameLayout.R12 + ((guest - 12) * 8);

    /// <summary>Number (0 to 15) of a general-purpose register, or -1. High-byte registers are not among them.</summary>
    private static int GprNumber(Register register)
    {
        if (register is >= Register.AH and <= Register.BH || !register.IsGPR())
        {
            return -1;
        }
        return register.GetFullRegister() - Register.RAX;
    }

    /// <summary>
    /// Computes the effective address of the instruction's memory operand without touching flags. Answers the host register that
    /// holds it: the base itself when nothing is to be added, else r14. May use r15.
    /// </summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="addend">Added to the displacement (POP to memory addresses relative to the incremented RSP).</param>
    private int EmitEffectiveAddress(in Instruction instruction, int addend = 0)
    {
        bool narrow = IsNarrowAddress(instruction);
        Register segment = instruction.MemorySegment;
        int segmentSlot = segment == Register.FS ? FrameLayout.FsBase : segment == Register.GS ? FrameLayout.GsBase : 0;
        if (instruction.IsIPRelativeMemoryOperand)
        {
            ulong absolute = instruction.IPRelativeMemoryAddress;
            _asm.MovImmediate(HostReg.Address, narrow ? (uint)absolute : absolute);
        }
        else if (!EmitBaseIndex(instruction, narrow, segmentSlot == 0, addend, out int direct))
        {
            return direct;
        }
        if (segmentSlot != 0)
        {
            _asm.LoadFrame(HostReg.Addend, segmentSlot);
            _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Addend, 0, 0);
        }
        return HostReg.Address;
    }

    private static bool IsNarrowAddress(in Instruction instruction) =>
        instruction.MemoryBase.GetSize() == 4 || instruction.MemoryIndex.GetSize() == 4
        || instruction.MemoryBase == Register.EIP; // An absolute disp32 under 67h is already zero-extended in Iced's displacement.

    /// <summary>base + index*scale + displacement into r14; false when a register already holds it (<paramref name="direct"/>).</summary>
    private bool EmitBaseIndex(in Instruction instruction, bool narrow, bool mayBeDirect, int addend, out int direct)
    {
        direct = HostReg.None;
        int guestBase = GprNumber(instruction.MemoryBase);
        int guestIndex = GprNumber(instruction.MemoryIndex);
        if (guestBase < 0 && guestIndex < 0)
        {
            ulong absolute = instruction.MemoryDisplacement64 + (ulong)addend;
            _asm.MovImmediate(HostReg.Address, absolute);
            return true;
        }
        int disp = (int)instruction.MemoryDisplacement64 + addend;
        int baseReg = HostReg.None, index = HostReg.None, scale = 0;
        if (guestIndex >= 0)
        {
            scale = System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale);
            index = HostOf(guestIndex);
            if (index == HostReg.None)
            {
                index = HostReg.Addend;
                _asm.LoadFrame(index, SlotOf(guestIndex));
            }
        }
        if (guestBase >= 0)
        {
            baseReg = HostOf(guestBase);
            if (baseReg == HostReg.None)
            {
                baseReg = HostReg.Address;
                _asm.LoadFrame(baseReg, SlotOf(guestBase));
            }
        }
        if (index == HostReg.None && disp == 0 && !narrow)
        {
            if (mayBeDirect || baseReg == HostReg.Address)
            {
                direct = baseReg;
                return baseReg == HostReg.Address && !mayBeDirect;
            }
        }
        _asm.Lea(HostReg.Address, baseReg, index, scale, disp, wide: !narrow);
        return true;
    }

    /// <summary>
    /// Emits the soft-TLB check for [<paramref name="address"/>, + <paramref name="size"/>) and leaves the addend in r15, so that the host
    /// address is address + r15. A miss, a page crossing and a misalignment that matters leave through the site.
    /// </summary>
    private void EmitCheck(int address, int size, bool write, int requiredAlignment = 1, bool stack = false)
    {
        if (IsBounce)
        {
            // r15 = bounce - address, without flags: -address = ~address + 1.
            _asm.Mov(HostReg.Addend, address);
            _asm.Not(HostReg.Addend);
            _asm.Lea(HostReg.Addend, HostReg.Addend, HostReg.None, 0, checked((int)(_bounceAddress + (64 * _bounceSlot++) + 1)));
            return;
        }
        int alignment = requiredAlignment;
        if ((_block.Mode & BlockMode.AlignmentCheck) != 0 && size is 2 or 4 or 8)
        {
            alignment = Math.Max(alignment, size);
        }
        bool aligned = alignment > 1 && alignment >= size;
        _asm.Shrx(HostReg.Addend, address, HostReg.Rsp);
        _asm.MovzxWord(HostReg.Addend, HostReg.Addend);
        _asm.LoadTable(HostReg.Scratch, HostReg.Addend, write ? (long)_tlb.WriteTags(TlbSet) : (long)_tlb.ReadTags(TlbSet));
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, address, 0, aligned ? 0 : size - 1);
        if (aligned)
        {
            _asm.PextFrame(HostReg.Scratch, HostReg.Scratch, alignment switch
            {
                2 => FrameLayout.AlignMask2,
                4 => FrameLayout.AlignMask4,
                8 => FrameLayout.AlignMask8,
                _ => FrameLayout.AlignMask16,
            });
        }
        else
        {
            _asm.Shrx(HostReg.Scratch, HostReg.Scratch, HostReg.Rsp);
        }
        int hit = _asm.Jrcxz();
        _asm.Call(_stubs.ExitAddress(ExitKind.MemorySite));
        int sitePosition = _asm.Position;
        _asm.Dword(0);
        _asm.Bind(hit);
        int id = _tables.AddSite(new Site
        {
            Block = _block.Id,
            Resume = checked((int)_asm.Here),
            Offset = (ushort)_offset,
            Index = (byte)_index,
            SizeBytes = (byte)size,
            AddressRegister = (byte)address,
            Write = write,
            RequiredAlignment = (byte)requiredAlignment,
            Stack = stack,
            Undefined = _undefined,
        });
        _asm.PatchDword(sitePosition, id);
        _asm.LoadTable(HostReg.Addend, HostReg.Addend, (long)_tlb.Addends(TlbSet));
    }

    /// <summary>Whether non-canonical addresses of the memory operand give #SS instead of #GP.</summary>
    private static bool IsStackSegment(in Instruction instruction) => instruction.MemorySegment == Register.SS;
}
