using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class TransferTests : IDisposable
{
    private const ulong Target = 0x70000;

    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void IretToUserRestoresFlagsStackAndDropsKernelSegments()
    {
        S->NmiBlocked = 1;
        S->Dr7 |= 1;
        S->Gs = new SegmentRegister { Base = 0x7777, Selector = 3 };
        S->Ds = Segmentation.FlatData(ArchitectureRig.UserData, 3);
        _rig.Push(ArchitectureRig.UserData, 0x99000, 0xFFFFFFFFFFFFFFFF & ~(Rflags.NestedTask | Rflags.Virtual8086), ArchitectureRig.UserCode, Target);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.iretq()));
        Assert.Equal(Target, S->Rip);
        Assert.Equal(0x99000ul, S->Gpr[4]);
        Assert.Equal(3u, S->Cpl);
        Assert.Equal(ArchitectureRig.UserCode, S->Cs.Selector);
        Assert.Equal(ArchitectureRig.UserData, S->Ss.Selector);
        Assert.Equal(Rflags.Defined & ~(Rflags.NestedTask | Rflags.Virtual8086), S->Rflags);
        Assert.Equal(0, S->NmiBlocked);
        // Data usable at CPL 3 stays; privileged data and null selectors become zero, the base of GS stays.
        Assert.Equal(ArchitectureRig.UserData, S->Ds.Selector);
        Assert.Equal((0, 0, 0x7777ul), (S->Es.Selector, S->Gs.Selector, S->Gs.Base));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0x10000)]
    public void IretRestoresResumeFlagForBreakpointsOnly(ulong enabled, ulong expected)
    {
        S->Dr7 |= enabled;
        _rig.Push(0, 0x99000, Rflags.Resume | 2, ArchitectureRig.KernelCode, Target);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.iretq()));
        Assert.Equal(expected, S->Rflags & Rflags.Resume);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(3, true)]
    public void IretInUserModeKeepsPrivilegedFlags(uint ioPrivilege, bool mayChangeInterruptFlag)
    {
        _rig.EnterUser(ioPrivilege);
        ulong before = S->Rflags;
        _rig.Push(ArchitectureRig.UserData, 0x99000, Rflags.InterruptEnable | (ulong)(3 - ioPrivilege) << 12 | Rflags.VirtualInterrupt, ArchitectureRig.UserCode, Target);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.iretq()));
        Assert.Equal(mayChangeInterruptFlag ? before | Rflags.InterruptEnable : before, S->Rflags);
    }

    [Fact]
    public void IretToSamePrivilegeWithNullStackSegment()
    {
        _rig.Push(0, 0x99000, 2, ArchitectureRig.KernelCode, Target);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.iretq()));
        Assert.Equal((0, 0x99000ul, 0u), (S->Ss.Selector, S->Gpr[4], S->Cpl));
        Assert.Equal(ArchitectureRig.KernelData, S->Ds.Selector);
    }

    [Theory]
    [InlineData(0, ArchitectureRig.UserData, Target, 13, 0)] // null CS
    [InlineData(ArchitectureRig.Code32, 0x18, Target, 13, ArchitectureRig.Code32)] // 32-bit code does not exist here
    [InlineData(ArchitectureRig.KernelCode, ArchitectureRig.UserData, Target, 13, 0x20)] // SS of another privilege
    [InlineData(ArchitectureRig.UserCode, 0, Target, 13, 0)] // null SS for privilege 3
    [InlineData(ArchitectureRig.UserCode, 3, Target, 13, 0)]
    [InlineData(ArchitectureRig.KernelCode, 1, Target, 13, 0)] // null SS with another RPL
    [InlineData(ArchitectureRig.KernelCode, ArchitectureRig.AbsentData, Target, 12, ArchitectureRig.AbsentData)]
    [InlineData(ArchitectureRig.AbsentCode, 0x18, Target, 11, ArchitectureRig.AbsentCode)]
    [InlineData(ArchitectureRig.KernelData, 0x18, Target, 13, ArchitectureRig.KernelData)]
    [InlineData(ArchitectureRig.KernelCode | 3, ArchitectureRig.UserData, Target, 13, ArchitectureRig.KernelCode)] // DPL is not RPL
    [InlineData(ArchitectureRig.KernelCode, 0x18, ArchitectureRig.NonCanonical, 13, 0)]
    [InlineData(0x4000, 0x18, Target, 13, 0x4000)]
    public void IretRefuses(ushort cs, ushort ss, ulong rip, byte vector, uint errorCode)
    {
        _rig.Push(ss, 0x99000, 2, cs, rip);
        ulong rsp = S->Gpr[4];
        _rig.AssertFault(_rig.Run(a => a.iretq()), vector, errorCode);
        Assert.Equal((rsp, 0u), (S->Gpr[4], S->Cpl));
    }

    [Fact]
    public void IretToInnerPrivilegeIsRefused()
    {
        _rig.EnterUser();
        _rig.Push(0x18, 0x99000, 2, ArchitectureRig.KernelCode, Target);
        _rig.AssertFault(_rig.Run(a => a.iretq()), Vector.GeneralProtection, ArchitectureRig.KernelCode);
    }

    [Fact]
    public void IretWithNestedTaskIsRefused()
    {
        S->Rflags |= Rflags.NestedTask;
        _rig.AssertFault(_rig.Run(a => a.iretq()), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void IretOfFourBytesPopsFourByteSlots()
    {
        S->Gpr[4] -= 20;
        ulong[] slots = [Target, ArchitectureRig.KernelCode, 0x246, 0x99000, 0x18];
        for (int n = 0; n < 5; n++)
            _rig.Write(S->Gpr[4] + ((ulong)n * 4), slots[n], 4);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.iretd()));
        Assert.Equal((Target, 0x99000ul, 0x246ul), (S->Rip, S->Gpr[4], S->Rflags));
    }

    [Fact]
    public void IretFromNonCanonicalStackIsAStackFault()
    {
        S->Gpr[4] = ArchitectureRig.NonCanonical;
        _rig.AssertFault(_rig.Run(a => a.iretq()), Vector.StackFault, 0);
    }

    [Fact]
    public void SyscallAndSysretGoToTheStarSelectors()
    {
        _rig.EnterUser();
        S->Lstar = 0xFFFF800000001000;
        S->Fmask = Rflags.InterruptEnable | Rflags.Trap;
        S->Rflags |= Rflags.InterruptEnable | Rflags.Carry;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.syscall()));
        Assert.Equal((0xFFFF800000001000ul, ArchitectureRig.Code + 2, 0x203ul), (S->Rip, S->Gpr[1], S->Gpr[11]));
        Assert.Equal((0x10, 0x18, 0u, 3ul), (S->Cs.Selector, S->Ss.Selector, S->Cpl, S->Rflags));

        S->Rip = Target;
        S->Gpr[11] = ulong.MaxValue;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.sysretq()));
        Assert.Equal((ArchitectureRig.Code + 2, 0x2B, 0x23, 3u, 0x3C7FD7ul), (S->Rip, S->Cs.Selector, S->Ss.Selector, S->Cpl, S->Rflags));
        Assert.Equal(Segmentation.FlatCode64(0x2B, 3), S->Cs);
    }

    [Fact]
    public void SyscallNeedsSce()
    {
        S->Efer &= ~Efer.SyscallEnable;
        _rig.AssertFault(_rig.Run(a => a.syscall()), Vector.InvalidOpcode);
        _rig.AssertFault(_rig.Run(a => a.sysretq()), Vector.InvalidOpcode);
    }

    [Fact]
    public void SysretRefusesNonCanonicalTargetUserModeAndCompatibilityMode()
    {
        S->Gpr[1] = ArchitectureRig.NonCanonical;
        _rig.AssertFault(_rig.Run(a => a.sysretq()), Vector.GeneralProtection, 0);
        S->Gpr[1] = Target;
        _rig.AssertFault(_rig.Run(a => a.sysret()), Vector.GeneralProtection, 0);
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.sysretq()), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void SwapgsExchangesBases()
    {
        S->Gs.Base = 1;
        S->KernelGsBase = 2;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.swapgs()));
        Assert.Equal((2ul, 1ul), (S->Gs.Base, S->KernelGsBase));
        S->Rip = ArchitectureRig.Code;
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.swapgs()), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void UnadvertisedInstructionsAreUndefined()
    {
        _rig.AssertFault(_rig.Run(a => a.sysenter()), Vector.InvalidOpcode);
        _rig.AssertFault(_rig.Run(a => a.rdrand(rax)), Vector.InvalidOpcode);
        _rig.AssertFault(_rig.Run(a => a.xgetbv()), Vector.InvalidOpcode);
        _rig.AssertFault(_rig.Run(a => a.monitor()), Vector.InvalidOpcode);
        _rig.AssertFault(_rig.Run(a => a.ud2()), Vector.InvalidOpcode);
    }

    private void FarPointer(ulong offset, ushort selector)
    {
        _rig.Write(ArchitectureRig.Data, offset);
        _rig.Write(ArchitectureRig.Data + 8, selector, 2);
        S->Gpr[3] = ArchitectureRig.Data;
    }

    [Fact]
    public void FarJumpAndCallWithinThePrivilege()
    {
        FarPointer(Target, ArchitectureRig.KernelCode);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xFF, 0x2B])); // jmp far [rbx]
        Assert.Equal(Target, S->Rip);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xFF, 0x1B])); // call far [rbx]
        Assert.Equal(ArchitectureRig.Stack - 16, S->Gpr[4]);
        Assert.Equal((Target + 3, 0x10ul), (_rig.Read(S->Gpr[4]), _rig.Read(S->Gpr[4] + 8)));
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xCB])); // retfq
        Assert.Equal((Target + 3, ArchitectureRig.Stack), (S->Rip, S->Gpr[4]));
    }

    [Theory]
    [InlineData(ArchitectureRig.Code32, 13)]
    [InlineData(ArchitectureRig.UserCode, 13)]
    [InlineData(ArchitectureRig.TaskSelector, 13)]
    [InlineData(ArchitectureRig.AbsentCode, 11)]
    public void FarJumpRefuses(ushort selector, byte vector)
    {
        FarPointer(Target, selector);
        _rig.AssertFault(_rig.RunBytes([0x48, 0xFF, 0x2B]), vector, selector & 0xFFFCu);
    }

    [Fact]
    public void FarJumpToConformingCodeKeepsThePrivilege()
    {
        _rig.EnterUser();
        FarPointer(Target, ArchitectureRig.ConformingCode);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xFF, 0x2B]));
        Assert.Equal((3u, ArchitectureRig.ConformingCode | 3), (S->Cpl, S->Cs.Selector));
    }

    [Fact]
    public void CallGateSwitchesToTheInnerStackAndReturns()
    {
        _rig.EnterUser();
        FarPointer(0, ArchitectureRig.Gate);
        _rig.AssertFault(_rig.RunBytes([0x48, 0xFF, 0x1B]), Vector.GeneralProtection, ArchitectureRig.Gate);
        FarPointer(0, ArchitectureRig.GateFromUser);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xFF, 0x1B]));
        Assert.Equal((0x2000ul, 0u, ArchitectureRig.Rsp0 - 32, 0), (S->Rip, S->Cpl, S->Gpr[4], S->Ss.Selector));
        ulong[] frame = [.. Enumerable.Range(0, 4).Select(n => _rig.Read(S->Gpr[4] + ((ulong)n * 8)))];
        Assert.Equal([ArchitectureRig.Code + 3, ArchitectureRig.UserCode, ArchitectureRig.Stack, ArchitectureRig.UserData], frame);

        S->Rip = Target;
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x48, 0xCB])); // retfq
        Assert.Equal((3u, ArchitectureRig.Stack, ArchitectureRig.Code + 3), (S->Cpl, S->Gpr[4], S->Rip));
    }

    [Fact]
    public void RipRelativeOperandFollowsTheStateNotTheDecoder()
    {
        byte[] relative = [0x0F, 0x01, 0x15, 0x00, 0x01, 0x00, 0x00]; // lgdt [rip+100h]
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(relative), 0x123450000);
        decoder.Decode(out Instruction instruction);
        Assert.Equal(ArchitectureRig.Code + 7 + 0x100, EffectiveAddress.Compute(S, in instruction));
    }
}
