using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class X87AndMemoryTests : IDisposable
{
    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public X87AndMemoryTests() => S->Gpr[3] = ArchitectureRig.Data;

    public void Dispose() => _rig.Dispose();

    private InstructionOutcome Again(Action<Assembler> assemble)
    {
        S->Rip = ArchitectureRig.Code;
        return _rig.Run(assemble);
    }

    private void Retires(Action<Assembler> assemble) => Assert.Equal(InstructionOutcome.Retired, Again(assemble));

    private void Faults(Action<Assembler> assemble, byte vector, uint? errorCode = null)
    {
        S->Rip = ArchitectureRig.Code;
        _rig.AssertFault(_rig.Run(assemble), vector, errorCode);
    }

    /// <summary>ST(n) holds significand 8000000000000000h + n and exponent 3FFFh; TOP = 5; physical registers 5, 6, 7 in use.</summary>
    private void FillRegisters()
    {
        for (int n = 0; n < 8; n++)
        {
            *(ulong*)X87.Register(S, n) = 0x8000000000000000 + (uint)n;
            *(ushort*)(X87.Register(S, n) + 8) = 0x3FFF;
        }
        X87.SetStatus(S, (ushort)((5 << 11) | 0x4000));
        X87.Tags(S) = 0xE0;
        for (int n = 0; n < 16; n++)
            *(ulong*)(S->Vector + (n * 32)) = 0xC0DE0000 + (uint)n;
    }

    [Fact]
    public void FxsaveLayout()
    {
        FillRegisters();
        S->Fx[8] = 0xEE; // a host instruction pointer must never show
        X87.SetControl(S, 0x0240);
        S->Mxcsr = 0x1F3F;
        _rig.Write(ArchitectureRig.Data + 416, 0x1234);
        Retires(a => a.fxsave64(__[rbx]));
        ulong at = ArchitectureRig.Data;
        Assert.Equal((0x0240ul, 0x6800ul, 0xE0ul), (_rig.Read(at, 2), _rig.Read(at + 2, 2), _rig.Read(at + 4, 2)));
        Assert.Equal((0ul, 0ul), (_rig.Read(at + 8), _rig.Read(at + 16)));
        Assert.Equal((0x1F3Ful, 0xFFFFul), (_rig.Read(at + 24, 4), _rig.Read(at + 28, 4)));
        Assert.Equal((0x8000000000000003ul, 0x3FFFul), (_rig.Read(at + 32 + 48), _rig.Read(at + 32 + 56)));
        Assert.Equal(0xC0DE000Ful, _rig.Read(at + 160 + 240));
        Assert.Equal(0x1234ul, _rig.Read(at + 416));

        Retires(a => a.fninit());
        S->Mxcsr = 0x1F80;
        *(ulong*)(S->Vector + (15 * 32)) = 0;
        Retires(a => a.fxrstor64(__[rbx]));
        Assert.Equal((0x0240, 0x6800, (byte)0xE0, 0x1F3Fu), (S->FcwGuest, X87.GuestStatus(S), X87.Tags(S), S->Mxcsr));
        Assert.Equal((0x8000000000000003ul, 0xC0DE000Ful), (*(ulong*)X87.Register(S, 3), *(ulong*)(S->Vector + (15 * 32))));
        Assert.Equal(0x027F, *(ushort*)S->Fx); // the host keeps everything masked
    }

    [Fact]
    public void FxRefusesMisalignmentReservedMxcsrAndReadOnlyMemory()
    {
        S->Gpr[3]++;
        Faults(a => a.fxsave(__[rbx]), Vector.GeneralProtection, 0);
        S->Gpr[3]--;
        _rig.Write(ArchitectureRig.Data + 24, 0x10000, 4);
        Faults(a => a.fxrstor(__[rbx]), Vector.GeneralProtection, 0);
        // Only the unwritten tail lies in the read-only page: checked all the same.
        S->Gpr[3] = 0x41000 - 416;
        _rig.SetPage(0x41000, 0x41000 | 5);
        _rig.EnterUser();
        Faults(a => a.fxsave(__[rbx]), Vector.PageFault, 7);
    }

    [Fact]
    public void UnmaskedPendingExceptionShowsAndFaultsWaitingInstructions()
    {
        X87.SetStatus(S, 0x04); // ZE is pending
        Retires(a => a.fnstsw(ax));
        Assert.Equal(0x04ul, S->Gpr[0] & 0xFFFF);
        _rig.Write(ArchitectureRig.Data, 0x37B, 2);
        Retires(a => a.fldcw(__word_ptr[rbx]));
        Retires(a => a.fnstsw(ax));
        Assert.Equal(0x8084ul, S->Gpr[0] & 0xFFFF);
        Faults(a => a.wait(), Vector.X87Error);
        Faults(a => a.fldcw(__word_ptr[rbx]), Vector.X87Error);
        Retires(a => a.fnclex());
        Retires(a => a.wait());
        Retires(a => a.fnstcw(__word_ptr[rbx]));
        Assert.Equal(0x37Bul, _rig.Read(ArchitectureRig.Data, 2));
    }

    [Fact]
    public void EnvironmentLayoutAndTags()
    {
        FillRegisters();
        *(ulong*)X87.Register(S, 1) = 0; // physical 6: exponent without integer bit is special
        *(ulong*)X87.Register(S, 2) = 0;
        *(ushort*)(X87.Register(S, 2) + 8) = 0; // physical 7: zero
        Retires(a => a.fnstenv(__[rbx]));
        uint[] words = [.. Enumerable.Range(0, 7).Select(n => (uint)_rig.Read(ArchitectureRig.Data + ((ulong)n * 4), 4))];
        // Tags: 7 zero (01), 6 special (10), 5 valid (00), the rest empty.
        Assert.Equal([0xFFFF037F, 0xFFFF6800, 0xFFFF63FF, 0, 0, 0, 0xFFFF0000], words);
    }

    [Fact]
    public void FldenvWithAnotherTopKeepsPhysicalRegisters()
    {
        FillRegisters();
        Retires(a => a.fnstenv(__[rbx]));
        _rig.Write(ArchitectureRig.Data + 4, 6 << 11, 2);
        Retires(a => a.fldenv(__[rbx]));
        // Physical 5 was ST(0) with TOP 5 and is ST(7) with TOP 6.
        Assert.Equal(0x8000000000000000, *(ulong*)X87.Register(S, 7));
        Assert.Equal(0x8000000000000001, *(ulong*)X87.Register(S, 0));
        Assert.Equal((byte)0xE0, X87.Tags(S));
    }

    [Fact]
    public void FnsaveAndFrstorRoundTrip()
    {
        FillRegisters();
        Retires(a => a.fnsave(__[rbx]));
        Assert.Equal((0x37F, 0, (byte)0), (S->FcwGuest, X87.GuestStatus(S), X87.Tags(S)));
        Assert.Equal(0x8000000000000002, _rig.Read(ArchitectureRig.Data + 28 + 20));
        new Span<byte>(S->Fx + 32, 128).Clear();
        Retires(a => a.frstor(__[rbx]));
        Assert.Equal((0x6800, (byte)0xE0, 0x8000000000000007ul), (X87.GuestStatus(S), X87.Tags(S), *(ulong*)X87.Register(S, 7)));
    }

    [Fact]
    public void AvailabilityFollowsControlRegisters()
    {
        S->Cr0 |= Cr0.TaskSwitched;
        Faults(a => a.fxsave(__[rbx]), Vector.DeviceNotAvailable);
        Faults(a => a.ldmxcsr(__dword_ptr[rbx]), Vector.DeviceNotAvailable);
        Retires(a => a.wait());
        S->Cr0 |= Cr0.MonitorCoprocessor;
        Faults(a => a.wait(), Vector.DeviceNotAvailable);
        S->Cr0 &= ~Cr0.TaskSwitched;
        S->Cr4 &= ~Cr4.OsFxsr;
        Faults(a => a.stmxcsr(__dword_ptr[rbx]), Vector.InvalidOpcode);
    }

    [Fact]
    public void MxcsrRoundTripKeepsTheHostMasked()
    {
        _rig.Write(ArchitectureRig.Data, 0x8041, 4);
        Retires(a => a.ldmxcsr(__dword_ptr[rbx]));
        Assert.Equal((0x9FC1u, 0x8041u), (S->MxcsrHost, S->Mxcsr));
        Retires(a => a.stmxcsr(__dword_ptr[rbx + 8]));
        Assert.Equal(0x8041ul, _rig.Read(ArchitectureRig.Data + 8, 4));
        _rig.Write(ArchitectureRig.Data, 0x10000, 4);
        Faults(a => a.ldmxcsr(__dword_ptr[rbx]), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void MaskedStoreChecksOnlySelectedBytes()
    {
        _rig.SetPage(0x41000, 0);
        for (int n = 0; n < 16; n++)
        {
            S->Vector[32 + n] = (byte)(0xA0 + n);
            S->Vector[64 + n] = n is 1 or 3 ? (byte)0x80 : (byte)0x7F;
        }
        S->Gpr[7] = 0x41000 - 4;
        Retires(a => a.maskmovdqu(xmm1, xmm2));
        Assert.Equal(0xA300A100ul, _rig.Read(0x40FFC, 4));
        S->Vector[64 + 4] = 0xFF;
        _rig.Write(0x40FFC, 0, 4);
        Faults(a => a.maskmovdqu(xmm1, xmm2), Vector.PageFault, 2);
        Assert.Equal(0x41000ul, _rig.Context.Fault.Cr2);
        Assert.Equal(0ul, _rig.Read(0x40FFC, 4));
        new Span<byte>(S->Vector + 64, 16).Clear();
        S->Gpr[7] = ArchitectureRig.NonCanonical;
        Retires(a => a.maskmovdqu(xmm1, xmm2));
    }

    [Fact]
    public void MaskedMmxStoreUsesPhysicalRegistersAndResetsTop()
    {
        FillRegisters();
        *(ulong*)X87.MmxRegister(S, 1) = 0x8877665544332211;
        *(ulong*)X87.MmxRegister(S, 2) = 0xFF000000000000FF;
        S->Gpr[7] = ArchitectureRig.Data;
        Retires(a => a.maskmovq(mm1, mm2));
        Assert.Equal(0x8800000000000011, _rig.Read(ArchitectureRig.Data));
        Assert.Equal((0x4000, (byte)0xFF), (X87.GuestStatus(S), X87.Tags(S)));
        Assert.Equal(0x8877665544332211, *(ulong*)X87.Register(S, 1));
    }

    [Fact]
    public void EnterBuildsNestedFrames()
    {
        S->Gpr[5] = ArchitectureRig.Data + 0x100;
        _rig.Write(ArchitectureRig.Data + 0xF8, 0xAAAA);
        Retires(a => a.enter(0x20, 3));
        // Pushed: old RBP, two display entries (one read from the old frame), the new frame pointer.
        Assert.Equal(ArchitectureRig.Stack - 8, S->Gpr[5]);
        Assert.Equal(ArchitectureRig.Stack - 32 - 0x20, S->Gpr[4]);
        Assert.Equal((ArchitectureRig.Data + 0x100, 0xAAAAul), (_rig.Read(ArchitectureRig.Stack - 8), _rig.Read(ArchitectureRig.Stack - 16)));
        Assert.Equal(ArchitectureRig.Stack - 8, _rig.Read(ArchitectureRig.Stack - 32));
    }

    [Fact]
    public void EnterNeedsItsFinalStackPointerWritable()
    {
        _rig.SetPage(ArchitectureRig.Stack - 0x2000, 0);
        ulong rsp = S->Gpr[4];
        Faults(a => a.enter(0x1800, 0), Vector.PageFault, 2);
        Assert.Equal(rsp, S->Gpr[4]);
    }

    [Fact]
    public void XlatAddsTheLowByteOnly()
    {
        S->Gpr[0] = 0x1203;
        _rig.Write(ArchitectureRig.Data + 3, 0x99, 1);
        Retires(a => a.xlatb());
        Assert.Equal(0x1299ul, S->Gpr[0]);
    }

    [Fact]
    public void FlushLineChecksTheAddress()
    {
        Retires(a => a.clflush(__byte_ptr[rbx]));
        S->Gpr[3] = ArchitectureRig.Unmapped;
        Faults(a => a.clflushopt(__byte_ptr[rbx]), Vector.PageFault, 0);
        S->Gpr[3] = ArchitectureRig.Mmio;
        Retires(a => a.clflush(__byte_ptr[rbx]));
        Assert.Empty(_rig.Bus.Calls);
        S->Gpr[4] = ArchitectureRig.NonCanonical;
        Faults(a => a.clflush(__byte_ptr[rsp]), Vector.StackFault, 0);
        Faults(a => a.clwb(__byte_ptr[rbx]), Vector.InvalidOpcode);
    }

    [Fact]
    public void InvlpgIgnoresNonCanonicalAddresses()
    {
        S->Gpr[3] = ArchitectureRig.NonCanonical;
        Retires(a => a.invlpg(__byte_ptr[rbx]));
        _rig.EnterUser();
        Faults(a => a.invlpg(__byte_ptr[rbx]), Vector.GeneralProtection, 0);
        Faults(a => a.wbinvd(), Vector.GeneralProtection, 0);
    }
}
