using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class SystemRegisterTests : IDisposable
{
    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public void Dispose() => _rig.Dispose();

    private InstructionOutcome Again(Action<Assembler> assemble)
    {
        S->Rip = ArchitectureRig.Code;
        return _rig.Run(assemble);
    }

    /// <summary>The CPL / IOPL table of POPF: which of IF and IOPL change.</summary>
    [Theory]
    [InlineData(0, 0, true, true)]
    [InlineData(0, 3, true, true)]
    [InlineData(3, 0, false, false)]
    [InlineData(3, 2, false, false)]
    [InlineData(3, 3, true, false)]
    public void PopfHonoursPrivilege(uint cpl, uint ioPrivilege, bool changesInterruptFlag, bool changesIoPrivilege)
    {
        if (cpl == 3)
            _rig.EnterUser();
        S->Rflags = Rflags.Fixed1 | (ulong)ioPrivilege << 12;
        ulong image = ulong.MaxValue & ~Rflags.Iopl | (ulong)(ioPrivilege ^ 3) << 12;
        _rig.Push(image);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.popfq()));
        ulong expected = Rflags.Fixed1 | Rflags.Arithmetic | Rflags.Trap | Rflags.Direction | Rflags.NestedTask | Rflags.AlignmentCheck | Rflags.Id
            | (changesInterruptFlag ? Rflags.InterruptEnable : 0) | (ulong)(changesIoPrivilege ? ioPrivilege ^ 3 : ioPrivilege) << 12;
        Assert.Equal(expected, S->Rflags);
        Assert.Equal(ArchitectureRig.Stack, S->Gpr[4]);
    }

    [Fact]
    public void PopfOfTwoBytesLeavesTheUpperHalf()
    {
        S->Rflags |= Rflags.Id;
        _rig.Push(0xFFFF_0001);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.popf()));
        Assert.Equal(Rflags.Fixed1 | Rflags.Id | Rflags.Carry, S->Rflags);
        Assert.Equal(ArchitectureRig.Stack - 6, S->Gpr[4]);
    }

    [Fact]
    public void PushfHidesResumeAndVirtualMode()
    {
        S->Rflags |= Rflags.Resume | Rflags.Virtual8086 | Rflags.Carry;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.pushfq()));
        Assert.Equal(Rflags.Fixed1 | Rflags.Carry, _rig.Read(ArchitectureRig.Stack - 8));
        S->Gpr[4] = ArchitectureRig.Unmapped;
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.pushfq()), Vector.PageFault, 2);
        Assert.Equal(ArchitectureRig.Unmapped, S->Gpr[4]);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    public void CliAndStiNeedIoPrivilege(uint ioPrivilege, bool allowed)
    {
        uint cpl = ioPrivilege == 0 ? 0u : 3;
        if (cpl == 3)
            _rig.EnterUser(ioPrivilege);
        InstructionOutcome outcome = _rig.Run(a => a.sti());
        if (!allowed)
        {
            _rig.AssertFault(outcome, Vector.GeneralProtection, 0);
            _rig.AssertFault(_rig.Run(a => a.cli()), Vector.GeneralProtection, 0);
            return;
        }
        Assert.Equal((InstructionOutcome.Retired, Shadow.Sti), (outcome, S->InterruptShadow));
        // A second STI ends the shadow: IF was set already.
        Again(a => a.sti());
        Assert.Equal(0, S->InterruptShadow);
        Again(a => a.cli());
        Assert.Equal(0ul, S->Rflags & Rflags.InterruptEnable);
    }

    [Fact]
    public void HltHaltsInKernelModeOnly()
    {
        S->InterruptShadow = Shadow.Sti;
        Assert.Equal(InstructionOutcome.Halt, _rig.Run(a => a.hlt()));
        Assert.Equal((1, 0, ArchitectureRig.Code + 1), (S->Halted, S->InterruptShadow, S->Rip));
        S->Rip = ArchitectureRig.Code;
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.hlt()), Vector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData(0x80010033, 0x80010033, true)]
    [InlineData(0x8001003B, 0x8001003B, true)] // TS
    [InlineData(0x8000FFC0 | 0x31, 0x80000031, true)] // reserved bits are ignored
    [InlineData(0x80000001, 0x80000011, true)] // ET is fixed
    [InlineData(0x00010033, 0, false)] // paging off would leave long mode
    [InlineData(0x80010032, 0, false)] // paging without protection
    [InlineData(0xA0010033, 0, false)] // NW without CD
    [InlineData(0xE0010033, 0xE0010033, true)]
    [InlineData(0x180010033, 0, false)]
    public void Cr0Rules(ulong value, ulong expected, bool accepted)
    {
        ulong before = S->Cr0;
        S->Gpr[0] = value;
        InstructionOutcome outcome = _rig.Run(a => a.mov(cr0, rax));
        if (!accepted)
            _rig.AssertFault(outcome, Vector.GeneralProtection, 0);
        Assert.Equal(accepted ? expected : before, S->Cr0);
    }

    [Theory]
    [InlineData(0x1106B0, true)]
    [InlineData(0x110690, false)] // PAE off
    [InlineData(0x1106B1, false)] // VME is not there
    [InlineData(0x1506B0, false)] // OSXSAVE is not there
    [InlineData(0x3106B0, false)] // SMAP is not there
    [InlineData(0x1_001106B0, false)]
    public void Cr4Rules(ulong value, bool accepted)
    {
        ulong before = S->Cr4;
        S->Gpr[0] = value;
        InstructionOutcome outcome = _rig.Run(a => a.mov(cr4, rax));
        if (!accepted)
            _rig.AssertFault(outcome, Vector.GeneralProtection, 0);
        Assert.Equal(accepted ? value : before, S->Cr4);
    }

    [Fact]
    public void ControlRegistersReadBackAndCr8IsThePlatforms()
    {
        S->Cr2 = 0x1234;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.mov(r9, cr2)));
        Assert.Equal(0x1234ul, S->Gpr[9]);
        S->Gpr[0] = 9;
        Again(a => a.mov(cr8, rax));
        Assert.Equal(9ul, _rig.Bus.TaskPriority);
        Again(a => a.mov(rdx, cr8));
        Assert.Equal(9ul, S->Gpr[2]);
        S->Gpr[0] = 16;
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.mov(cr8, rax)), Vector.GeneralProtection, 0);
        S->Gpr[0] = 1ul << 40;
        _rig.AssertFault(_rig.Run(a => a.mov(cr3, rax)), Vector.GeneralProtection, 0);
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.mov(rax, cr0)), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void Cr3LoadSwitchesTheAddressSpace()
    {
        // A second PML4 that maps nothing in the lower half but the same tables one slot higher.
        _rig.Write(0x9008, 0x2000 | 7);
        Assert.True(_rig.Mmu.Read(ArchitectureRig.Data, 8, user: false, out _));
        S->Gpr[0] = 0x9000;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.mov(cr3, rax)));
        Assert.False(_rig.Mmu.Read(ArchitectureRig.Data, 8, user: false, out _));
        Assert.True(_rig.Mmu.Read((1ul << 39) + ArchitectureRig.Data, 8, user: false, out _));
    }

    [Fact]
    public void LmswSetsButDoesNotClearProtection()
    {
        S->Gpr[0] = 0xFFFE;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.lmsw(ax)));
        Assert.Equal(0x8001003Ful, S->Cr0);
        Again(a => a.clts());
        Assert.Equal(0x80010037ul, S->Cr0);
        Again(a => a.smsw(rcx));
        Assert.Equal(S->Cr0, S->Gpr[1]);
        S->Gpr[3] = ArchitectureRig.Data;
        _rig.Write(ArchitectureRig.Data, ulong.MaxValue);
        Again(a => a.smsw(__word_ptr[rbx]));
        Assert.Equal(0xFFFFFFFFFFFF0037, _rig.Read(ArchitectureRig.Data));
    }

    [Fact]
    public void DebugRegisterRules()
    {
        S->Gpr[0] = 0xFFFFFFFF;
        Again(a => a.mov(dr7, rax));
        Assert.Equal(0xFFFF27FFul, S->Dr7);
        S->Rip = ArchitectureRig.Code;
        // DR7.GD is set now: any MOV DR is a #DB fault that DR6.BD explains.
        _rig.AssertFault(_rig.Run(a => a.mov(rbx, dr0)), Vector.Debug);
        Assert.Equal(DebugTraps.Dr6Reset | DebugTraps.AccessDetected, S->Dr6);
        ExceptionDelivery.DeliverFault(_rig.Context, _rig.Context.Fault);
        Assert.Equal(0ul, S->Dr7 & DebugTraps.GeneralDetect);
        S->Gpr[0] = 0;
        Again(a => a.mov(dr6, rax));
        Assert.Equal(0xFFFF0FF0ul, S->Dr6);
        Again(a => a.mov(rbx, dr4));
        Assert.Equal(S->Dr6, S->Gpr[3]);
        S->Cr4 |= Cr4.DebuggingExtensions;
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.mov(rbx, dr4)), Vector.InvalidOpcode);
        S->Gpr[0] = 1ul << 32;
        _rig.AssertFault(_rig.Run(a => a.mov(dr7, rax)), Vector.GeneralProtection, 0);
    }

    private InstructionOutcome WriteMsr(uint msr, ulong value)
    {
        S->Gpr[0] = 0xFFFFFFFF_00000000 | (uint)value;
        S->Gpr[2] = 0xFFFFFFFF_00000000 | value >> 32;
        S->Gpr[1] = 0xFFFFFFFF_00000000 | msr;
        return Again(a => a.wrmsr());
    }

    private ulong? ReadMsr(uint msr)
    {
        S->Gpr[1] = msr;
        S->Gpr[0] = S->Gpr[2] = ulong.MaxValue;
        return Again(a => a.rdmsr()) == InstructionOutcome.Retired ? S->Gpr[0] | S->Gpr[2] << 32 : null;
    }

    [Theory]
    [InlineData(ModelSpecificRegisters.SyscallTarget, 0x123456789ABCDEF0)]
    [InlineData(ModelSpecificRegisters.LongSyscallTarget, 0xFFFFFFFF81000000)]
    [InlineData(ModelSpecificRegisters.SyscallFlagMask, 0x47700)]
    [InlineData(ModelSpecificRegisters.FsBase, 0x7FFFFFFFF000)]
    [InlineData(ModelSpecificRegisters.GsBase, 0xFFFF888000000000)]
    [InlineData(ModelSpecificRegisters.KernelGsBase, 0x1000)]
    [InlineData(ModelSpecificRegisters.TscAux, 0x5)]
    [InlineData(ModelSpecificRegisters.PageAttributeTable, 0x0407050600070106)]
    [InlineData(ModelSpecificRegisters.SpeculationControl, 1)]
    [InlineData(ModelSpecificRegisters.TscAdjust, 0xFFFFFFFFFFFFF000)]
    [InlineData(0x1B, 0xFEE00D00)]
    public void MsrKeepsItsValue(uint msr, ulong value)
    {
        Assert.Equal(InstructionOutcome.Retired, WriteMsr(msr, value));
        Assert.Equal(value, ReadMsr(msr));
    }

    [Theory]
    [InlineData(ModelSpecificRegisters.LongSyscallTarget, ArchitectureRig.NonCanonical)]
    [InlineData(ModelSpecificRegisters.GsBase, ArchitectureRig.NonCanonical)]
    [InlineData(ModelSpecificRegisters.SyscallFlagMask, 1ul << 32)]
    [InlineData(ModelSpecificRegisters.PageAttributeTable, 2)]
    [InlineData(ModelSpecificRegisters.ExtendedFeatureEnable, 0)] // LME while paging
    [InlineData(ModelSpecificRegisters.ExtendedFeatureEnable, 0x1D01)] // SVME does not exist
    [InlineData(ModelSpecificRegisters.ArchCapabilities, 0)]
    [InlineData(ModelSpecificRegisters.SpeculationControl, 8)]
    [InlineData(0x12345, 0)]
    public void MsrRefusesValue(uint msr, ulong value)
    {
        Assert.Equal(InstructionOutcome.Fault, WriteMsr(msr, value));
        Assert.Equal((Vector.GeneralProtection, 0u), (_rig.Context.Fault.Vector, _rig.Context.Fault.ErrorCode));
    }

    [Fact]
    public void EferKeepsLongModeActive()
    {
        Assert.Equal(InstructionOutcome.Retired, WriteMsr(ModelSpecificRegisters.ExtendedFeatureEnable, 0x101));
        Assert.Equal(0x501ul, ReadMsr(ModelSpecificRegisters.ExtendedFeatureEnable));
    }

    [Fact]
    public void UnknownMsrIsTraced()
    {
        var seen = new List<string>();
        _rig.Context.Trace = seen.Add;
        Assert.Null(ReadMsr(0xC0011029));
        Assert.Equal(["RDMSR of unknown MSR C0011029h at 0000000000030000h"], seen);
    }

    [Fact]
    public void TimestampCounterFollowsAdjustAndDisable()
    {
        Assert.Equal(InstructionOutcome.Retired, WriteMsr(ModelSpecificRegisters.TimeStampCounter, 5000));
        Assert.Equal(4000ul, ReadMsr(ModelSpecificRegisters.TscAdjust));
        _rig.Bus.TimestampCounter = 0x1_0000_0000 - 4000 + 7;
        S->TscAux = 42;
        Again(a => a.rdtscp());
        Assert.Equal((7ul, 1ul, 42ul), (S->Gpr[0], S->Gpr[2], S->Gpr[1]));
        S->Cr4 |= Cr4.TimeStampDisable;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.rdtsc()));
        _rig.EnterUser();
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.rdtsc()), Vector.GeneralProtection, 0);
        _rig.AssertFault(_rig.Run(a => a.rdmsr()), Vector.GeneralProtection, 0);
    }
}
