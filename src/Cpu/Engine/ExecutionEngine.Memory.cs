using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>Soft-TLB misses, and the accesses that cannot go straight to RAM: page crossings and MMIO.</summary>
internal sealed unsafe partial class ExecutionEngine
{
    /// <summary>One memory access of an instruction, in architectural order.</summary>
    private struct Access
    {
        public ulong Address;
        public int Size;
        public bool Read, Write, Stack;
    }

    private readonly Access[] _accesses = new Access[2];
    private int _accessCount;

    private nint OnMemorySite()
    {
        ref Site site = ref _tables.Site(NumberBehindCall());
        Block block = _tables.Block(site.Block);
        ulong address = AddressOf(site.AddressRegister);
        if (site.RequiredAlignment > 1 && (address & (site.RequiredAlignment - 1UL)) != 0)
        {
            Abandon(block, site);
            Raise(GuestFault.Gp());
            return 0;
        }
        if ((address & 0xFFF) + site.SizeBytes > 4096)
        {
            Abandon(block, site);
            ExecuteOdd(DecodeAt(block, site.Offset), block.Mode);
            return 0;
        }
        _statistics.TlbMisses++;
        switch (_mmu.Fill(address, site.Write, (block.Mode & BlockMode.User) != 0, out ulong physical))
        {
            case FillOutcome.Fault:
                Abandon(block, site);
                RaiseAccessFault(site.Stack);
                return 0;
            case FillOutcome.Mmio:
                Abandon(block, site);
                ExecuteOdd(DecodeAt(block, site.Offset), block.Mode);
                return 0;
            default:
                break;
        }
        if ((block.Mode & BlockMode.AlignmentCheck) != 0 && site.SizeBytes is 2 or 4 or 8 && (address & (site.SizeBytes - 1UL)) != 0)
        {
            Abandon(block, site);
            Raise(GuestFault.WithError(Vector.AlignmentCheck, 0));
            return 0;
        }
        if (!site.Write || SoftTlb.Matches(_mmu.Tlb.WriteTags(SetOf(block.Mode))[SoftTlb.SlotOf(address)], address))
        {
            // On behind the check, never back to the start of the instruction: where both accesses of PUSH m, POP m or CALL m fall into
            // the same slot of the soft TLB, each would evict the other for ever.
            _es->ScratchR15 = (ulong)SoftTlb.SlotOf(address);
            return site.Resume;
        }
        return StoreTracked(block, ref site, address, physical);
    }

    /// <summary>
    /// A store to a page that holds translated code or page tables. What derives from the bytes is dropped first; nobody can look in
    /// between, so the store itself then runs natively, its addend taken from the spare slot.
    /// </summary>
    private nint StoreTracked(Block block, ref Site site, ulong address, ulong physical)
    {
        _statistics.TrackedStores++;
        _mappingDropped = false;
        _mmu.PrepareTrackedWrite(physical, site.SizeBytes);
        bool ownMappingDropped = _mappingDropped && (_droppedPage == ulong.MaxValue || _droppedPage == (block.LinearAddress & ~0xFFFUL));
        if ((block.Dead || ownMappingDropped) && (block.Mode & BlockMode.Single) == 0)
        {
            // The instructions behind the store may not be what was translated: run it alone, then look again.
            Abandon(block, site);
            ExecuteOne(block.Mode);
            _shortBlock = true;
            return 0;
        }
        int set = SetOf(block.Mode);
        _mmu.Tlb.Addends(set)[SoftTlb.SpareSlot] = (long)_mmu.HostPointer(physical) - (long)address;
        _es->ScratchR15 = SoftTlb.SpareSlot;
        return site.Resume;
    }

    private ulong AddressOf(int hostRegister) => hostRegister switch
    {
        HostReg.R14 => _es->ScratchR14,
        HostReg.GuestRcx => _s->Gpr[1],
        HostReg.GuestRsp => _s->Gpr[4],
        _ => _s->Gpr[hostRegister],
    };

    /// <summary>Puts the state back to before the site's instruction.</summary>
    private void Abandon(Block block, in Site site)
    {
        Settle(block.InstructionCount - site.Index);
        _s->Rip = block.LinearAddress + site.Offset;
        _s->Rflags &= ~(ulong)site.Undefined;
    }

    private void RaiseAccessFault(bool stack)
    {
        GuestFault fault = _mmu.Fault;
        if (stack && fault.Vector == Vector.GeneralProtection)
        {
            fault.Vector = Vector.StackFault;
        }
        Raise(fault);
    }

    /// <summary>
    /// Runs the one instruction at RIP with its memory operands in bounce buffers: read in before, written out after. Permissions are
    /// checked before anything is read, so the instruction either happens as a whole or faults.
    /// </summary>
    private void ExecuteOdd(in Instruction instruction, BlockMode mode)
    {
        _statistics.OddAccesses++;
        mode &= ~BlockMode.Single;
        if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv || InstructionPolicy.ClassOf(instruction.Code) == InstructionClass.Special)
        {
            ExecuteSpecial(instruction, mode);
            return;
        }
        DescribeAccesses(instruction);
        bool user = (mode & BlockMode.User) != 0;
        for (int i = 0; i < _accessCount; i++)
        {
            ref Access access = ref _accesses[i];
            var bounce = new Span<byte>(_es->Bounce + (64 * i), access.Size);
            bool ok = (!access.Write || _mmu.ProbeWrite(access.Address, access.Size, user)) && (!access.Read || _mmu.ReadBytes(access.Address, bounce, user));
            if (!ok)
            {
                RaiseAccessFault(access.Stack);
                return;
            }
            if ((mode & BlockMode.AlignmentCheck) != 0 && access.Size is 2 or 4 or 8 && (access.Address & ((ulong)access.Size - 1)) != 0)
            {
                Raise(GuestFault.WithError(Vector.AlignmentCheck, 0));
                return;
            }
        }
        Block? block = GetBlock(_s->Rip, mode | BlockMode.Bounce, out _);
        if (block == null)
        {
            return;
        }
        ulong icount = _s->Icount;
        _chunk = 1;
        _es->Budget = (ulong)(BudgetBias + 1);
        RunEmitted(block.Entry);
        if (_guardingStore && IsX87Suppressed(toMemory: true))
        {
            return;
        }
        // A bus call made by the write-out belongs to the instruction: it sees the count from before it.
        ulong after = _s->Icount;
        _s->Icount = icount;
        for (int i = 0; i < _accessCount; i++)
        {
            ref Access access = ref _accesses[i];
            if (access.Write)
            {
                bool written = _mmu.WriteBytes(access.Address, new ReadOnlySpan<byte>(_es->Bounce + (64 * i), access.Size), user);
                System.Diagnostics.Debug.Assert(written);
            }
        }
        _s->Icount = after;
        _shortBlock = true;
    }

    /// <summary>Lists the accesses of a re-emitted instruction or one with emission of its own, in the order the emission makes them.</summary>
    private void DescribeAccesses(in Instruction instruction)
    {
        _accessCount = 0;
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(instruction.Code);
        ulong rsp = _s->Gpr[4];
        int stack = instruction.StackPointerIncrement is 2 or -2 ? 2 : 8;
        bool memory = rule.Access != OperandAccess.None && InstructionPolicy.HasMemoryOperand(instruction);
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Push:
            case Mnemonic.Call:
                if (memory)
                {
                    AddOperand(instruction, rule, 0, read: true, write: false);
                }
                Add(rsp - (ulong)stack, stack, read: false, write: true, stack: true);
                return;
            case Mnemonic.Pop:
                Add(rsp, stack, read: true, write: false, stack: true);
                if (memory)
                {
                    ulong adjust = instruction.MemoryBase is Register.RSP or Register.ESP ? (ulong)stack : 0;
                    AddOperand(instruction, rule, adjust, read: false, write: true);
                }
                return;
            case Mnemonic.Ret:
                Add(rsp, 8, read: true, write: false, stack: true);
                return;
            case Mnemonic.Leave:
                Add(_s->Gpr[5], instruction.Code == Code.Leavew ? 2 : 8, read: true, write: false, stack: true);
                return;
            default:
                if (memory)
                {
                    AddOperand(instruction, rule, 0, rule.Access != OperandAccess.Write, rule.Access != OperandAccess.Read);
                }
                return;
        }
    }

    private void AddOperand(in Instruction instruction, in InstructionRule rule, ulong adjust, bool read, bool write)
    {
        ulong address = EffectiveAddress.Compute(_s, instruction) + adjust;
        if (rule.Has(InstructionTraits.BitString))
        {
            int bits = rule.MemoryBytes * 8;
            ulong raw = GuestAccess.ReadRegister(_context, instruction.Op1Register);
            long offset = rule.MemoryBytes switch { 2 => (short)raw, 4 => (int)raw, _ => (long)raw };
            address += (ulong)((offset >> System.Numerics.BitOperations.Log2((uint)bits)) * rule.MemoryBytes);
        }
        Add(address, rule.MemoryBytes, read, write, EffectiveAddress.IsStack(instruction));
    }

    private void Add(ulong address, int size, bool read, bool write, bool stack) =>
        _accesses[_accessCount++] = new Access { Address = address, Size = size, Read = read, Write = write, Stack = stack };
}
