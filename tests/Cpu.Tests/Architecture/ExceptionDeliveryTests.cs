using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class ExceptionDeliveryTests : IDisposable
{
    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public void Dispose() => _rig.Dispose();

    private ulong[] Frame(int words) => [.. Enumerable.Range(0, words).Select(n => _rig.Read(S->Gpr[4] + ((ulong)n * 8)))];

    [Fact]
    public void FaultPushesErrorCodeAndResumeFlagOnAnAlignedStack()
    {
        S->Gpr[4] = 0x5800D;
        S->Rflags |= Rflags.InterruptEnable | Rflags.Trap | Rflags.NestedTask | Rflags.Carry;
        ulong before = S->Rflags;
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Gp(0x28));
        Assert.Equal(0x58000ul - 48, S->Gpr[4]);
        Assert.Equal([0x28, ArchitectureRig.Code, 0x10, before | Rflags.Resume, 0x5800D, 0x18], Frame(6));
        Assert.Equal(ArchitectureRig.HandlerOf(13), S->Rip);
        Assert.Equal(Rflags.Fixed1 | Rflags.Carry, S->Rflags);
        Assert.Equal(ArchitectureRig.KernelData, S->Ss.Selector);
    }

    [Fact]
    public void TrapGateKeepsInterruptsEnabled()
    {
        _rig.SetGate(6, type: 15);
        S->Rflags |= Rflags.InterruptEnable;
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Of(Vector.InvalidOpcode));
        Assert.NotEqual(0ul, S->Rflags & Rflags.InterruptEnable);
    }

    [Fact]
    public void PageFaultFromUserSwitchesStackAndSetsCr2()
    {
        _rig.EnterUser();
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Page(0x12345678, 6));
        Assert.Equal(0x12345678ul, S->Cr2);
        Assert.Equal(ArchitectureRig.Rsp0 - 48, S->Gpr[4]);
        Assert.Equal([6, ArchitectureRig.Code, ArchitectureRig.UserCode, 0x10002, ArchitectureRig.Stack, ArchitectureRig.UserData], Frame(6));
        Assert.Equal(0u, S->Cpl);
        Assert.Equal(ArchitectureRig.KernelCode, S->Cs.Selector);
        Assert.Equal(0, S->Ss.Selector);
    }

    [Fact]
    public void InterruptStackTableIsUsedWithoutPrivilegeChangeAndKeepsSs()
    {
        _rig.SetGate(2, ist: 1);
        S->Halted = 1;
        S->InterruptShadow = 1;
        S->NmiPending = 1;
        ExceptionDelivery.DeliverNmi(_rig.Context);
        Assert.Equal((ArchitectureRig.Ist1 & ~15ul) - 40, S->Gpr[4]);
        Assert.Equal(ArchitectureRig.KernelData, S->Ss.Selector);
        Assert.Equal([0, 0, 0, 1], new[] { S->Halted, S->InterruptShadow, S->NmiPending, S->NmiBlocked });
    }

    [Fact]
    public void InterruptPushesFlagsAsTheyAre()
    {
        S->Rflags |= Rflags.InterruptEnable;
        ExceptionDelivery.DeliverInterrupt(_rig.Context, 0x20);
        Assert.Equal([ArchitectureRig.Code, 0x10, 0x202, ArchitectureRig.Stack, 0x18], Frame(5));
    }

    [Theory]
    [InlineData(0, 13, 8)] // contributory, then contributory: double fault
    [InlineData(13, 13, 8)]
    [InlineData(14, 13, 8)]
    [InlineData(13, 14, 14)] // contributory, then page fault: the page fault
    [InlineData(6, 13, 13)] // benign first
    [InlineData(6, 14, 14)]
    [InlineData(14, 14, 8)]
    [InlineData(3, 11, 11)]
    public void SecondFaultFollowsTheDoubleFaultTable(byte first, byte second, byte delivered)
    {
        Break(first, second);
        // The handlers of the nested faults work, the first one's delivery raises `second`.
        if (first == second)
            _rig.SetGate(8);
        ExceptionDelivery.DeliverFault(_rig.Context, new GuestFault { Vector = first });
        Assert.Equal(ArchitectureRig.HandlerOf(delivered), S->Rip);
        Assert.Equal(0, S->Shutdown);
        if (delivered == 8)
            Assert.Equal(0ul, _rig.Read(S->Gpr[4]));
    }

    /// <summary>Makes delivery of <paramref name="vector"/> raise <paramref name="result"/>.</summary>
    private void Break(byte vector, byte result)
    {
        switch (result)
        {
            case 11: _rig.SetGate(vector, present: false); break;
            case 13: _rig.SetGate(vector, type: 0); break;
            default:
                // An interrupt stack in an unmapped page.
                _rig.Write(ArchitectureRig.Tss + 0x2C, ArchitectureRig.Unmapped + 0x1000);
                _rig.SetGate(vector, ist: 2);
                break;
        }
    }

    [Fact]
    public void NestedErrorCodeNamesTheGateAndTheExternalEvent()
    {
        _rig.SetGate(6, present: false);
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Of(Vector.InvalidOpcode));
        Assert.Equal(ArchitectureRig.HandlerOf(11), S->Rip);
        Assert.Equal((6ul * 8) | 3, _rig.Read(S->Gpr[4]));
    }

    [Fact]
    public void FaultDuringDoubleFaultShutsDown()
    {
        _rig.SetGate(13, type: 0);
        _rig.SetGate(8, type: 0);
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Gp());
        Assert.Equal(1, S->Shutdown);
    }

    [Fact]
    public void BreakpointWithEmptyIdtShutsDown()
    {
        // The way a guest asks for a reset with reboot=t: an IDT of limit 0 and INT3.
        S->IdtrLimit = 0;
        InstructionOutcome outcome = _rig.Run(a => a.int3());
        _rig.AssertFault(outcome, Vector.GeneralProtection, (3 * 8) | 2);
        ExceptionDelivery.DeliverFault(_rig.Context, _rig.Context.Fault);
        Assert.Equal(1, S->Shutdown);
    }

    [Fact]
    public void NonCanonicalStackIsAStackFault()
    {
        _rig.Write(ArchitectureRig.Tss + 4, ArchitectureRig.NonCanonical);
        _rig.SetGate(12, ist: 1);
        _rig.EnterUser();
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Of(Vector.InvalidOpcode));
        Assert.Equal(ArchitectureRig.HandlerOf(12), S->Rip);
        Assert.Equal(1ul, _rig.Read(S->Gpr[4]));
    }

    [Fact]
    public void StackOutsideTheTaskSegmentIsInvalidTss()
    {
        S->Tr.Limit = 8;
        _rig.EnterUser();
        _rig.SetGate(10, selector: 0x2B);
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Of(Vector.InvalidOpcode));
        Assert.Equal(ArchitectureRig.HandlerOf(10), S->Rip);
        Assert.Equal(ArchitectureRig.TaskSelector | 1ul, _rig.Read(S->Gpr[4]));
    }

    [Theory]
    [InlineData(ArchitectureRig.Code32, 13)]
    [InlineData(ArchitectureRig.KernelData, 13)]
    [InlineData(ArchitectureRig.AbsentCode, 11)]
    [InlineData(0x200, 13)]
    public void GateToUnusableCodeFaults(ushort selector, byte vector)
    {
        _rig.SetGate(6, selector: selector);
        ExceptionDelivery.DeliverFault(_rig.Context, GuestFault.Of(Vector.InvalidOpcode));
        Assert.Equal(ArchitectureRig.HandlerOf(vector), S->Rip);
        Assert.Equal(selector | 1ul, _rig.Read(S->Gpr[4]));
    }

    [Fact]
    public void SoftwareInterruptChecksGatePrivilege()
    {
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.@int(0x80)), Vector.GeneralProtection, (0x80 * 8) | 2);
        _rig.SetGate(0x80, privilege: 3);
        Assert.Equal(InstructionOutcome.Delivered, _rig.Run(a => a.@int(0x80)));
        Assert.Equal(ArchitectureRig.HandlerOf(0x80), S->Rip);
        Assert.Equal([ArchitectureRig.Code + 2, ArchitectureRig.UserCode, 2, ArchitectureRig.Stack, ArchitectureRig.UserData], Frame(5));
        Assert.Equal(1ul, _rig.Ticks);
    }

    [Fact]
    public void IcebpIgnoresGatePrivilegeAndReportsNothingInDr6()
    {
        _rig.EnterUser();
        S->Dr7 |= DebugTraps.GeneralDetect;
        Assert.Equal(InstructionOutcome.Delivered, _rig.RunBytes([0xF1]));
        Assert.Equal(ArchitectureRig.HandlerOf(1), S->Rip);
        Assert.Equal(DebugTraps.Dr6Reset, S->Dr6);
        Assert.Equal(DebugTraps.Dr7Reset, S->Dr7);
    }

    [Fact]
    public void DebugEventReplacesBreakpointBitsAndKeepsTheOthers()
    {
        S->Dr6 = DebugTraps.Dr6Reset | 2 | DebugTraps.AccessDetected;
        ExceptionDelivery.DeliverDebug(_rig.Context, DebugTraps.SingleStep | 1);
        Assert.Equal(DebugTraps.Dr6Reset | DebugTraps.AccessDetected | DebugTraps.SingleStep | 1, S->Dr6);
        Assert.Equal(0ul, _rig.Read(S->Gpr[4] + 16) & Rflags.Resume);
    }

    [Fact]
    public void HandlerInUserSegmentNeedsUserStackRights()
    {
        // DPL 3 code: no privilege change from user mode, so the frame is pushed with user rights.
        _rig.SetGate(3, selector: ArchitectureRig.UserCode, privilege: 3);
        _rig.EnterUser();
        _rig.SetPage(ArchitectureRig.Stack - 4096, (ArchitectureRig.Stack - 4096) | 3);
        InstructionOutcome outcome = _rig.Run(a => a.int3());
        _rig.AssertFault(outcome, Vector.PageFault, 7);
    }

    [Theory]
    [InlineData(0x1000, 0, 1, 0x1000, 1, false)] // execute breakpoints do not match accesses
    [InlineData(0x1000, 0x1, 1, 0x1000, 1, true)]
    [InlineData(0x1000, 0xD, 1, 0xFFF, 2, true)] // 4 bytes, write: overlaps its first byte
    [InlineData(0x1002, 0xD, 1, 0x1000, 1, true)] // the address is aligned down
    [InlineData(0x1000, 0xD, 1, 0x1004, 4, false)]
    [InlineData(0x1000, 0x9, 1, 0x1007, 1, true)] // 8 bytes
    [InlineData(0x1000, 0x1, 0, 0x1000, 1, false)] // write only
    [InlineData(0x1000, 0x3, 0, 0x1000, 1, true)]
    public void DataBreakpointMatchesByRangeAndKind(ulong address, uint field, int write, ulong accessed, int size, bool expected)
    {
        S->Dr2 = address;
        S->Dr7 = DebugTraps.Dr7Reset | 1ul << 5 | (ulong)field << 24;
        ulong bits = DebugTraps.AccessBreakpoints(S, accessed, size, write == 1 ? BreakpointAccess.Write : BreakpointAccess.Read);
        Assert.Equal(expected ? 4ul : 0, bits);
    }

    [Fact]
    public void InstructionBreakpointIsSuppressedByResumeFlag()
    {
        S->Dr1 = 0x4000;
        S->Dr7 = DebugTraps.Dr7Reset | 1ul << 2;
        Assert.Equal(2ul, DebugTraps.InstructionBreakpoints(S, 0x4000));
        S->Rflags |= Rflags.Resume;
        Assert.Equal(0ul, DebugTraps.InstructionBreakpoints(S, 0x4000));
    }
}
