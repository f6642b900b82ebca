using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>RFLAGS and the halt state: PUSHF, POPF, CLI, STI, HLT.</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddFlags(Handler[] table)
    {
        Add(table, &Pushf, Code.Pushfw, Code.Pushfq);
        Add(table, &Popf, Code.Popfw, Code.Popfq);
        Add(table, &Cli, Code.Cli);
        Add(table, &Sti, Code.Sti);
        Add(table, &Hlt, Code.Hlt);
    }

    private static InstructionOutcome Pushf(CpuContext c, in Instruction i)
    {
        ulong image = c.State->Rflags & ~(Rflags.Resume | Rflags.Virtual8086);
        return c.TryPush(image, i.Code == Code.Pushfw ? 2 : 8) ? c.Retire(in i) : InstructionOutcome.Fault;
    }

    /// <summary>Which bits POPF may change depends on CPL and IOPL (SDM vol. 2, POPF, table 4-21); the others keep their value without a fault.</summary>
    private static InstructionOutcome Popf(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code == Code.Popfw ? 2 : 8;
        if (!c.TryRead(s->Gpr[4], size, stack: true, out ulong image))
            return InstructionOutcome.Fault;
        ulong mask = Rflags.Arithmetic | Rflags.Trap | Rflags.Direction | Rflags.NestedTask;
        if (size == 8)
            mask |= Rflags.AlignmentCheck | Rflags.Id;
        if (s->Cpl <= Rflags.IoPrivilege(s->Rflags))
            mask |= Rflags.InterruptEnable;
        if (s->Cpl == 0)
            mask |= Rflags.Iopl;
        s->Rflags = (s->Rflags & ~mask) | (image & mask);
        s->Gpr[4] += (uint)size;
        return c.Retire(in i);
    }

    private static InstructionOutcome Cli(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl > Rflags.IoPrivilege(s->Rflags))
            return c.RaiseGp();
        s->Rflags &= ~Rflags.InterruptEnable;
        return c.Retire(in i);
    }

    private static InstructionOutcome Sti(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl > Rflags.IoPrivilege(s->Rflags))
            return c.RaiseGp();
        if ((s->Rflags & Rflags.InterruptEnable) == 0)
        {
            s->Rflags |= Rflags.InterruptEnable;
            s->InterruptShadow = Shadow.Sti;
        }
        return c.Retire(in i);
    }

    private static InstructionOutcome Hlt(CpuContext c, in Instruction i)
    {
        if (c.State->Cpl != 0)
            return c.RaiseGp();
        c.State->Halted = 1;
        c.Retire(in i);
        return InstructionOutcome.Halt;
    }
}
