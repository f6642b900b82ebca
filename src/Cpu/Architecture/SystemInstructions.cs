using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// Instructions executed in C# instead of being re-emitted. One static table by Iced code; a code without a handler is an instruction
/// the CPU model does not have and raises #UD. No handler allocates or throws.
/// </summary>
internal static unsafe partial class SystemInstructions
{
    private static readonly Handler[] Handlers = BuildHandlers();

    /// <summary>True when the code has a handler here; for every other code <see cref="Execute"/> raises #UD.</summary>
    public static bool Handles(Code code) => Handlers[(int)code] != null || StringInstructions.Handles(code);

    /// <summary>Whether the handler of a code reads or writes the x87/MMX image in the state: it must be up to date.</summary>
    public static bool UsesX87(Code code) => UsersOfX87[(int)code];

    private static readonly bool[] UsersOfX87 = BuildUsersOfX87();

    private static bool[] BuildUsersOfX87()
    {
        var handlers = new Handler[IcedConstants.CodeEnumCount];
        AddX87(handlers);
        var users = new bool[handlers.Length];
        for (int code = 0; code < users.Length; code++)
            users[code] = handlers[code] != null;
        users[(int)Code.Ldmxcsr_m32] = users[(int)Code.Stmxcsr_m32] = false;
        users[(int)Code.Maskmovq_rDI_mm_mm] = true;
        return users;
    }

    /// <summary>
    /// Executes the instruction at <see cref="CpuState.Rip"/>. <paramref name="ticks"/> is what the instruction counts: 0 for a fault, 1 for an
    /// instruction, the iterations done for a REP string instruction (at most <paramref name="remainingBudget"/>, which is at least 1).
    /// RF and the interrupt shadow end with the instruction, as the architecture has it; a fault leaves both alone.
    /// </summary>
    public static InstructionOutcome Execute(CpuContext c, in Instruction instruction, ulong remainingBudget, out ulong ticks)
    {
        CpuState* s = c.State;
        ulong resume = s->Rflags & Rflags.Resume;
        byte shadow = s->InterruptShadow;
        s->Rflags &= ~Rflags.Resume;
        s->InterruptShadow = 0;
        ticks = 1;
        InstructionOutcome outcome;
        Handler handler = Handlers[(int)instruction.Code];
        if (handler != null)
            outcome = handler(c, in instruction);
        else if (StringInstructions.Handles(instruction.Code))
            // An interrupt held by the shadow is due after the first iteration already.
            outcome = StringInstructions.Execute(c, in instruction, shadow != 0 ? 1 : remainingBudget, out ticks);
        else
            outcome = c.RaiseUd();
        if (outcome == InstructionOutcome.Fault)
        {
            s->Rflags |= resume;
            s->InterruptShadow = shadow;
            ticks = 0;
        }
        return outcome;
    }

    private static Handler[] BuildHandlers()
    {
        var table = new Handler[IcedConstants.CodeEnumCount];
        AddTransfers(table);
        AddFlags(table);
        AddControl(table);
        AddIdentification(table);
        AddSegments(table);
        AddIo(table);
        AddMemory(table);
        AddX87(table);
        return table;
    }

    private static void Add(Handler[] table, Handler handler, params ReadOnlySpan<Code> codes)
    {
        foreach (Code code in codes)
            table[(int)code] = handler;
    }

    /// <summary>Number of Iced codes; the table is indexed by code.</summary>
    private static class IcedConstants
    {
        public static readonly int CodeEnumCount = Enum.GetValues<Code>().Length;
    }
}
