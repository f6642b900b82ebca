using FtAkka.Cpu.Tests.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Faults;

/// <summary>One exception raised on purpose, and what its handler must find.</summary>
internal sealed unsafe class FaultCase
{
    private const ulong ResumeFlag = 1 << 16;
    private const ulong Marker = 0x5A5A;

    /// <summary>What the test is called in failures.</summary>
    public required string Name { get; init; }
    public required byte Vector { get; init; }
    /// <summary>The error code pushed; null: none is.</summary>
    public uint? ErrorCode { get; init; }
    /// <summary>CR2 after a page fault.</summary>
    public ulong? Cr2 { get; init; }
    /// <summary>Saved RIP is the next instruction and the culprit counts as retired.</summary>
    public bool Trap { get; init; }
    /// <summary>Privilege level of the culprit.</summary>
    public uint Privilege { get; init; }
    /// <summary>Pages, descriptors, control registers.</summary>
    public Action<GuestHarness> Arrange { get; init; } = _ => { };
    /// <summary>Instructions that run before the culprit.</summary>
    public Action<Assembler> Prepare { get; init; } = _ => { };
    public required Action<Assembler> Culprit { get; init; }
    /// <summary>RFLAGS bits set before the program starts, on top of bit 1.</summary>
    public ulong Flags { get; init; }

    /// <summary>
    /// Runs the case with a number of harmless instructions before the culprit, stopping after every <paramref name="budget"/> instructions, and checks
    /// the handler's view.
    /// </summary>
    public void Check(int lead, ulong budget)
    {
        string where = $"{Name}, {lead} instructions before it, budget {budget}";
        using var guest = new GuestHarness();
        guest.HaltOnExceptions();
        ulong retired = Build(guest, lead, out ulong culprit, out ulong next);
        guest.SetPrivilege(Privilege);
        guest.State->Rflags = 2 | Flags;
        Arrange(guest);
        guest.Vcpu.Mmu.FlushAll();
        ulong rsp = guest.State->Gpr[4];

        VcpuExitReason exit;
        int runs = 0;
        do
        {
            exit = guest.Vcpu.Run(budget);
            Assert.True(++runs < 1000, $"{where}: no end");
        }
        while (exit == VcpuExitReason.BudgetSpent);

        Assert.True(exit == VcpuExitReason.Halted, $"{where}: {exit}");
        Assert.True(guest.State->Rip == GuestHarness.Handlers + (16UL * Vector) + 1, $"{where}: halted at {guest.State->Rip:x}");
        Equal(retired + (Trap ? 1UL : 0) + 1, guest.Vcpu.Icount, "icount", where); // and the handler's HLT
        Equal(0, guest.State->Cpl, "CPL", where);
        ulong frame = guest.State->Gpr[4];
        Equal(0, frame & 7, "alignment of the frame", where);
        if (ErrorCode is { } code)
        {
            Equal(code, guest.Read64(frame), "error code", where);
            frame += 8;
        }
        Equal(0, frame + 40 & 15, "alignment of the stack top", where);
        Equal(Trap ? next : culprit, guest.Read64(frame), "saved RIP", where);
        Equal(Privilege == 0 ? 0x10UL : 0x2B, guest.Read64(frame + 8), "saved CS", where);
        const ulong arithmetic = 0x8D5;
        ulong expected = 2 | Flags | (Trap ? 0 : ResumeFlag);
        Equal(expected, guest.Read64(frame + 16) & ~arithmetic, "saved RFLAGS", where);
        Equal(rsp, guest.Read64(frame + 24), "saved RSP", where);
        Equal(Privilege == 0 ? 0x18UL : 0x23, guest.Read64(frame + 32), "saved SS", where);
        Equal(Privilege == 0 ? 0x18UL : 0, guest.State->Ss.Selector, "SS", where);
        Equal(0, guest.State->Rflags & (ResumeFlag | 0x100 | 0x4000 | 0x200), "RF TF NT IF in the handler", where);
        if (Cr2 is { } address)
        {
            Equal(address, guest.State->Cr2, "CR2", where);
        }
        Equal(Marker + (ulong)lead, guest.State->Gpr[15], "instructions before the culprit", where);
    }

    private ulong Build(GuestHarness guest, int lead, out ulong culprit, out ulong next)
    {
        ulong retired = 0;
        ulong at = GuestHarness.Code;
        Emit(a => a.mov(AssemblerRegisters.r15d, (uint)Marker));
        Emit(Prepare);
        for (int i = 0; i < lead; i++)
        {
            Emit(a => a.lea(AssemblerRegisters.r15, AssemblerRegisters.__[AssemblerRegisters.r15 + 1]));
        }
        culprit = at;
        ulong before = retired;
        Emit(Culprit);
        next = at;
        Emit(a => a.hlt());
        return before;

        void Emit(Action<Assembler> build)
        {
            var assembler = new Assembler(64);
            build(assembler);
            using var stream = new MemoryStream();
            assembler.Assemble(new StreamCodeWriter(stream), at);
            guest.Write(at, stream.ToArray());
            at += (ulong)stream.Length;
            retired += (ulong)assembler.Instructions.Count;
        }
    }

    private static void Equal(ulong expected, ulong actual, string what, string where) =>
        Assert.True(expected == actual, $"{where}: {what} is {actual:x}, expected {expected:x}");
}
