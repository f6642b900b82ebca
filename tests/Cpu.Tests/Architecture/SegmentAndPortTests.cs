using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class SegmentAndPortTests : IDisposable
{
    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public void Dispose() => _rig.Dispose();

    private InstructionOutcome Again(Action<Assembler> assemble)
    {
        S->Rip = ArchitectureRig.Code;
        return _rig.Run(assemble);
    }

    private InstructionOutcome MoveTo(AssemblerRegisterSegment segment, ushort selector)
    {
        S->Gpr[0] = selector;
        return Again(a => a.mov(segment, eax));
    }

    [Fact]
    public void DataSegmentLoadMarksTheDescriptorAccessed()
    {
        _rig.Write(ArchitectureRig.Gdt + 0x20, 0x12CFF2345678FFFF & 0xFFCFF2FFFFFFFFFF);
        Assert.Equal(InstructionOutcome.Retired, MoveTo(fs, ArchitectureRig.UserData));
        Assert.Equal((0x12345678ul, 0xFFFFFFFFu, ArchitectureRig.UserData), (S->Fs.Base, S->Fs.Limit, S->Fs.Selector));
        Assert.Equal(0xF3ul, _rig.Read(ArchitectureRig.Gdt + 0x25, 1));
        Assert.Equal(InstructionOutcome.Retired, MoveTo(fs, 0));
        Assert.Equal((0ul, 0), (S->Fs.Base, S->Fs.Selector));
    }

    [Theory]
    [InlineData(ArchitectureRig.AbsentData, 11)]
    [InlineData(ArchitectureRig.TaskSelector, 13)]
    [InlineData(0x1000, 13)]
    [InlineData(0x0C, 13)] // no LDT
    public void DataSegmentLoadRefuses(ushort selector, byte vector)
    {
        SegmentRegister before = S->Ds;
        _rig.AssertFault(MoveTo(ds, selector), vector, selector & 0xFFFCu);
        Assert.Equal(before, S->Ds);
    }

    [Fact]
    public void UserModeCannotLoadKernelData()
    {
        _rig.EnterUser();
        _rig.AssertFault(MoveTo(es, ArchitectureRig.KernelData), Vector.GeneralProtection, ArchitectureRig.KernelData);
        _rig.AssertFault(MoveTo(es, ArchitectureRig.KernelData | 3), Vector.GeneralProtection, ArchitectureRig.KernelData);
        Assert.Equal(InstructionOutcome.Retired, MoveTo(es, ArchitectureRig.UserData));
    }

    [Fact]
    public void StackSegmentLoadStartsTheShadow()
    {
        Assert.Equal(InstructionOutcome.Retired, MoveTo(ss, ArchitectureRig.KernelData));
        Assert.Equal(Shadow.MovSs, S->InterruptShadow);
        Assert.Equal(InstructionOutcome.Retired, MoveTo(ss, 0));
        _rig.AssertFault(MoveTo(ss, 3), Vector.GeneralProtection, 0);
        _rig.AssertFault(MoveTo(ss, ArchitectureRig.UserData), Vector.GeneralProtection, 0x20);
        _rig.AssertFault(MoveTo(ss, ArchitectureRig.AbsentData), Vector.StackFault, ArchitectureRig.AbsentData);
    }

    [Fact]
    public void PushAndPopSegment()
    {
        _rig.Push(ArchitectureRig.UserData);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.pop(gs)));
        Assert.Equal((ArchitectureRig.UserData, ArchitectureRig.Stack), (S->Gs.Selector, S->Gpr[4]));
        Again(a => a.push(gs));
        Assert.Equal((ulong)ArchitectureRig.UserData, _rig.Read(ArchitectureRig.Stack - 8));
    }

    [Fact]
    public void TaskRegisterLoadMarksBusyOnce()
    {
        S->Gpr[0] = ArchitectureRig.TaskSelector;
        S->Tr = default;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.ltr(ax)));
        Assert.Equal((ArchitectureRig.Tss, 0xFFFu, 0x8B), (S->Tr.Base, S->Tr.Limit, S->Tr.Attributes & 0xFF));
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.ltr(ax)), Vector.GeneralProtection, ArchitectureRig.TaskSelector);
        Again(a => a.str(ecx));
        Assert.Equal((ulong)ArchitectureRig.TaskSelector, S->Gpr[1]);
    }

    [Fact]
    public void LocalTableServesSelectors()
    {
        _rig.Write(0x13008, 0x00CFF3000000FFFF);
        S->Gpr[0] = ArchitectureRig.LocalTable;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.lldt(ax)));
        Assert.Equal(InstructionOutcome.Retired, MoveTo(gs, 0x0F));
        S->Gpr[0] = 0;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.lldt(ax)));
        _rig.AssertFault(MoveTo(gs, 0x0F), Vector.GeneralProtection, 0x0C);
    }

    [Fact]
    public void DescriptorTableRegistersRoundTrip()
    {
        S->Gpr[3] = ArchitectureRig.Data;
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.sgdt(__[rbx])));
        Assert.Equal((ArchitectureRig.GdtLimit, ArchitectureRig.Gdt), ((ushort)_rig.Read(ArchitectureRig.Data, 2), _rig.Read(ArchitectureRig.Data + 2)));
        _rig.Write(ArchitectureRig.Data, 0x1FF, 2);
        _rig.Write(ArchitectureRig.Data + 2, 0xFFFF800000001000);
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.lidt(__[rbx])));
        Assert.Equal((0xFFFF800000001000ul, 0x1FFu), (S->IdtrBase, S->IdtrLimit));
        _rig.Write(ArchitectureRig.Data + 2, ArchitectureRig.NonCanonical);
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.lgdt(__[rbx])), Vector.GeneralProtection, 0);
        _rig.EnterUser();
        _rig.AssertFault(_rig.Run(a => a.lidt(__[rbx])), Vector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData(ArchitectureRig.KernelCode, 0xAF9B00ul & 0xF0FF00, 0xFFFFFFFFul)]
    [InlineData(ArchitectureRig.TaskSelector, 0x8900ul, 0xFFFul)]
    [InlineData(ArchitectureRig.Gate, 0x8C00ul, null)]
    [InlineData(0x200, null, null)]
    [InlineData(0, null, null)]
    public void LarAndLslInspect(ushort selector, ulong? rights, ulong? limit)
    {
        S->Gpr[1] = selector;
        S->Gpr[0] = 0x55;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.lar(eax, ecx)));
        Assert.Equal((rights ?? 0x55, rights.HasValue), (S->Gpr[0], (S->Rflags & Rflags.Zero) != 0));
        S->Gpr[0] = 0x55;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.lsl(eax, ecx)));
        Assert.Equal((limit ?? 0x55, limit.HasValue), (S->Gpr[0], (S->Rflags & Rflags.Zero) != 0));
    }

    [Theory]
    [InlineData(ArchitectureRig.UserData, true, true)]
    [InlineData(ArchitectureRig.UserCode, true, false)]
    [InlineData(ArchitectureRig.KernelData, false, false)]
    [InlineData(ArchitectureRig.ConformingCode, true, false)]
    public void VerrAndVerwAskForUserRights(ushort selector, bool readable, bool writable)
    {
        _rig.EnterUser();
        S->Gpr[1] = selector;
        Again(a => a.verr(cx));
        Assert.Equal(readable, (S->Rflags & Rflags.Zero) != 0);
        Again(a => a.verw(cx));
        Assert.Equal(writable, (S->Rflags & Rflags.Zero) != 0);
    }

    [Fact]
    public void SegmentBaseInstructionsNeedTheirControlBit()
    {
        S->Gpr[0] = 0x7FFF12345678;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.wrfsbase(rax)));
        Again(a => a.rdfsbase(ecx));
        Assert.Equal((0x7FFF12345678ul, 0x12345678ul), (S->Fs.Base, S->Gpr[1]));
        S->Gpr[0] = ArchitectureRig.NonCanonical;
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(a => a.wrgsbase(rax)), Vector.GeneralProtection, 0);
        S->Cr4 &= ~Cr4.FsGsBase;
        _rig.AssertFault(_rig.Run(a => a.rdgsbase(rax)), Vector.InvalidOpcode);
    }

    [Fact]
    public void LoadFarPointerLoadsBothHalvesOrNothing()
    {
        S->Gpr[3] = ArchitectureRig.Data;
        _rig.Write(ArchitectureRig.Data, 0xAABBCCDD, 4);
        _rig.Write(ArchitectureRig.Data + 4, ArchitectureRig.UserData, 2);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x0F, 0xB5, 0x0B])); // lgs ecx,[rbx]
        Assert.Equal((0xAABBCCDDul, ArchitectureRig.UserData), (S->Gpr[1], S->Gs.Selector));
        _rig.Write(ArchitectureRig.Data + 4, ArchitectureRig.AbsentData, 2);
        S->Gpr[1] = 1;
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.RunBytes([0x0F, 0xB5, 0x0B]), Vector.SegmentNotPresent, ArchitectureRig.AbsentData);
        Assert.Equal((1ul, ArchitectureRig.UserData), (S->Gpr[1], S->Gs.Selector));
    }

    [Fact]
    public void PortsInKernelMode()
    {
        S->Gpr[0] = 0xFFFFFFFFFFFFFF00;
        Assert.Equal(InstructionOutcome.Retired, Again(a => a.@in(al, 0x60)));
        Assert.Equal(0xFFFFFFFFFFFFFF44ul, S->Gpr[0]);
        S->Gpr[2] = 0x1234_03F8;
        Again(a => a.@in(eax, dx));
        Assert.Equal(0x11223345ul, S->Gpr[0]);
        Again(a => a.@out(dx, ax));
        Assert.Equal(["in 60 1", "in 3F8 4", "out 3F8 2 3345"], _rig.Bus.Calls);
    }

    [Theory]
    [InlineData(0x3F8, 1, 0x3F8, 0x3F8, true)]
    [InlineData(0x3F8, 2, 0x3F8, 0x3F8, false)] // the second port is closed
    [InlineData(0x3FF, 2, 0x3FF, 0x400, true)] // across bytes of the map
    [InlineData(0x3FE, 4, 0x3FE, 0x401, true)]
    [InlineData(0x7FF, 1, 0x7FF, 0x7FF, false)] // no room for the byte behind it: outside the map
    public void PermissionMapDecidesInUserMode(ushort port, int size, int firstOpen, int lastOpen, bool allowed)
    {
        S->Tr.Limit = 0x68 + 0xFF;
        for (int open = firstOpen; open <= lastOpen; open++)
        {
            ulong at = ArchitectureRig.Tss + 0x68 + ((ulong)open >> 3);
            _rig.Write(at, _rig.Read(at, 1) & ~(1ul << (open & 7)), 1);
        }
        _rig.EnterUser();
        S->Gpr[2] = port;
        InstructionOutcome outcome = size switch
        {
            1 => _rig.Run(a => a.@in(al, dx)),
            2 => _rig.Run(a => a.@in(ax, dx)),
            _ => _rig.Run(a => a.@in(eax, dx)),
        };
        if (!allowed)
            _rig.AssertFault(outcome, Vector.GeneralProtection, 0);
        Assert.Equal(allowed ? 1 : 0, _rig.Bus.Calls.Count);
    }

    [Fact]
    public void IoPrivilegeOpensAllPorts()
    {
        _rig.EnterUser(ioPrivilege: 3);
        Assert.Equal(InstructionOutcome.Retired, _rig.Run(a => a.@in(al, dx)));
    }

    [Fact]
    public void StringPortInstructionsYieldPerIteration()
    {
        S->Gpr[1] = 2;
        S->Gpr[2] = 0x1F0;
        S->Gpr[7] = ArchitectureRig.Data;
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([0xF3, 0x66, 0x6D]));
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0xF3, 0x66, 0x6D]));
        Assert.Equal(0x33453344ul, _rig.Read(ArchitectureRig.Data, 4));
        Assert.Equal((ArchitectureRig.Data + 4, 0ul, 1ul), (S->Gpr[7], S->Gpr[1], _rig.Ticks));
    }
}
