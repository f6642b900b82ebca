using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>CPUID, time stamp counter, model-specific registers.</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddIdentification(Handler[] table)
    {
        Add(table, &Cpuid, Code.Cpuid);
        Add(table, &Rdtsc, Code.Rdtsc);
        Add(table, &Rdtscp, Code.Rdtscp);
        Add(table, &Rdpmc, Code.Rdpmc);
        Add(table, &Rdmsr, Code.Rdmsr);
        Add(table, &Wrmsr, Code.Wrmsr);
    }

    private static InstructionOutcome Cpuid(CpuContext c, in Instruction i)
    {
        ulong* gpr = c.State->Gpr;
        CpuidLeaf leaf = c.Model.Cpuid((uint)gpr[0], (uint)gpr[1]);
        gpr[0] = leaf.Eax;
        gpr[3] = leaf.Ebx;
        gpr[1] = leaf.Ecx;
        gpr[2] = leaf.Edx;
        return c.Retire(in i);
    }

    private static void StorePair(CpuState* s, ulong value)
    {
        s->Gpr[0] = (uint)value;
        s->Gpr[2] = value >> 32;
    }

    private static InstructionOutcome Rdtsc(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0 && (s->Cr4 & Cr4.TimeStampDisable) != 0)
            return c.RaiseGp();
        StorePair(s, c.Bus.ReadTimestampCounter() + s->TscAdjust);
        return c.Retire(in i);
    }

    private static InstructionOutcome Rdtscp(CpuContext c, in Instruction i)
    {
        InstructionOutcome outcome = Rdtsc(c, in i);
        if (outcome == InstructionOutcome.Retired)
            c.State->Gpr[1] = c.State->TscAux;
        return outcome;
    }

    /// <summary>The model has no performance counters (CPUID leaf 0AH is zero), so every counter number is invalid.</summary>
    private static InstructionOutcome Rdpmc(CpuContext c, in Instruction i) => c.RaiseGp();

    private static InstructionOutcome Rdmsr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0 || !ModelSpecificRegisters.TryRead(c, (uint)s->Gpr[1], out ulong value))
            return c.RaiseGp();
        StorePair(s, value);
        return c.Retire(in i);
    }

    private static InstructionOutcome Wrmsr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0 || !ModelSpecificRegisters.TryWrite(c, (uint)s->Gpr[1], (uint)s->Gpr[0] | s->Gpr[2] << 32))
            return c.RaiseGp();
        return c.Retire(in i);
    }
}
