using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// MOVS, STOS, LODS, CMPS, SCAS, INS and OUTS with and without REP (Intel SDM vol. 1, 7.3.9). Iterations inside a page are done in bulk,
/// which nothing can observe: whenever an iteration may have changed what the next one depends on other than through registers and plain
/// memory (a device was touched, or a page holding code or page tables was written), the instruction yields with
/// <see cref="InstructionOutcome.Partial"/>, so that interrupts, code and mappings are looked at as if each iteration were an instruction.
/// </summary>
internal static unsafe partial class StringInstructions
{
    private enum Operation : byte { None, Movs, Stos, Lods, Cmps, Scas, Ins, Outs }

    /// <summary>How a batch of iterations ended.</summary>
    private enum Step : byte
    {
        /// <summary>More iterations may follow at once.</summary>
        Continue,
        /// <summary>REPE or REPNE condition ended the loop.</summary>
        ConditionMet,
        /// <summary>The outside has to be looked at before the next iteration.</summary>
        Yield,
        /// <summary>The next iteration faults; none of this batch was done.</summary>
        Faulted,
    }

    /// <summary>One string instruction while it executes.</summary>
    private struct Run
    {
        public Operation Operation;
        public int Size;
        /// <summary>67h prefix: ESI, EDI and ECX.</summary>
        public bool Narrow;
        public bool Backward;
        public bool Repeat;
        /// <summary>CMPS and SCAS under REP: the value of ZF on which the loop ends.</summary>
        public bool StopOnEqual;
        public bool Conditional;
        public ulong SourceBase;
        /// <summary>Where the instruction itself lies in host memory, for REP forms that store.</summary>
        public byte* FirstCodeByte, LastCodeByte;

        public readonly long Stride => Backward ? -Size : Size;
    }

    private const ulong PageSize = 4096;

    /// <summary>Operation in the high nibble, element size in the low one; 0 for other codes.</summary>
    private static readonly byte[] Forms = BuildForms();

    public static bool Handles(Code code) => Forms[(int)code] != 0;

    private static byte[] BuildForms()
    {
        var forms = new byte[Enum.GetValues<Code>().Length];
        Set(Operation.Movs, Code.Movsb_m8_m8, Code.Movsw_m16_m16, Code.Movsd_m32_m32, Code.Movsq_m64_m64);
        Set(Operation.Stos, Code.Stosb_m8_AL, Code.Stosw_m16_AX, Code.Stosd_m32_EAX, Code.Stosq_m64_RAX);
        Set(Operation.Lods, Code.Lodsb_AL_m8, Code.Lodsw_AX_m16, Code.Lodsd_EAX_m32, Code.Lodsq_RAX_m64);
        Set(Operation.Cmps, Code.Cmpsb_m8_m8, Code.Cmpsw_m16_m16, Code.Cmpsd_m32_m32, Code.Cmpsq_m64_m64);
        Set(Operation.Scas, Code.Scasb_AL_m8, Code.Scasw_AX_m16, Code.Scasd_EAX_m32, Code.Scasq_RAX_m64);
        Set(Operation.Ins, Code.Insb_m8_DX, Code.Insw_m16_DX, Code.Insd_m32_DX);
        Set(Operation.Outs, Code.Outsb_DX_m8, Code.Outsw_DX_m16, Code.Outsd_DX_m32);
        return forms;

        void Set(Operation operation, params ReadOnlySpan<Code> bySize)
        {
            for (int i = 0; i < bySize.Length; i++)
                forms[(int)bySize[i]] = (byte)((int)operation << 4 | 1 << i);
        }
    }

    /// <summary>
    /// Executes up to <paramref name="budget"/> iterations (at least 1). <paramref name="ticks"/>: iterations done, or 1 for a REP with count 0.
    /// </summary>
    public static InstructionOutcome Execute(CpuContext c, in Instruction instruction, ulong budget, out ulong ticks)
    {
        CpuState* s = c.State;
        Run run = Decode(s, in instruction);
        ticks = 1;
        if (!run.Repeat)
            return Advance(c, in run, 1, out _) == Step.Faulted ? InstructionOutcome.Fault : c.Retire(in instruction);

        ulong count = run.Narrow ? (uint)s->Gpr[1] : s->Gpr[1];
        if (count == 0)
            return c.Retire(in instruction);
        if (run.Operation is Operation.Movs or Operation.Stos)
        {
            run.FirstCodeByte = CodePointer(c, s->Rip);
            run.LastCodeByte = CodePointer(c, s->Rip + (uint)instruction.Length - 1);
        }
        ulong done = 0;
        while (true)
        {
            Step step = Advance(c, in run, Math.Min(count, budget - done), out ulong iterations);
            if (step == Step.Faulted)
            {
                if (done == 0)
                    return InstructionOutcome.Fault;
                break;
            }
            done += iterations;
            count -= iterations;
            s->Gpr[1] = count;
            if (count == 0 || step == Step.ConditionMet)
            {
                ticks = done;
                return c.Retire(in instruction);
            }
            if (done == budget || step == Step.Yield)
                break;
        }
        // Between iterations RF is set, so that an instruction breakpoint here fires once. It matters only, and is kept only, while DR7 enables something.
        if (DebugTraps.AnyEnabled(s))
            s->Rflags |= Rflags.Resume;
        ticks = done;
        return InstructionOutcome.Partial;
    }

    private static Run Decode(CpuState* s, in Instruction i)
    {
        byte form = Forms[(int)i.Code];
        var operation = (Operation)(form >> 4);
        bool repne = i.HasRepnePrefix;
        return new Run
        {
            Operation = operation,
            Size = form & 15,
            Narrow = IsNarrow(i.Op0Kind) || IsNarrow(i.Op1Kind),
            Backward = (s->Rflags & Rflags.Direction) != 0,
            Repeat = repne || i.HasRepPrefix,
            Conditional = operation is Operation.Cmps or Operation.Scas,
            StopOnEqual = repne,
            SourceBase = EffectiveAddress.SegmentBase(s, i.MemorySegment),
        };
    }

    private static bool IsNarrow(OpKind kind) => kind is OpKind.MemorySegESI or OpKind.MemoryESEDI;

    private static ulong Source(CpuState* s, in Run run) => (run.Narrow ? (uint)s->Gpr[6] : s->Gpr[6]) + run.SourceBase;

    private static ulong Destination(CpuState* s, in Run run) => run.Narrow ? (uint)s->Gpr[7] : s->Gpr[7];

    /// <summary>Moves an index register by a number of elements.</summary>
    private static void Move(ref ulong register, in Run run, ulong elements)
    {
        ulong moved = register + (ulong)((long)elements * run.Stride);
        register = run.Narrow ? (uint)moved : moved;
    }

    /// <summary>Elements from <paramref name="address"/> on, in the direction of the run, that lie in its page; 0 when the first one crosses the page's end.</summary>
    private static ulong InPage(ulong address, in Run run)
    {
        ulong offset = address & (PageSize - 1);
        ulong size = (uint)run.Size;
        if (!run.Backward)
            return (PageSize - offset) / size;
        return offset + size > PageSize ? 0 : (offset / size) + 1;
    }

    /// <summary>Lowest address of a batch of <paramref name="elements"/> that starts at <paramref name="address"/>.</summary>
    private static ulong Lowest(ulong address, in Run run, ulong elements) =>
        run.Backward ? address - ((elements - 1) * (uint)run.Size) : address;

    /// <summary>Does between 1 and <paramref name="limit"/> iterations and moves the index registers, or faults having done none.</summary>
    private static Step Advance(CpuContext c, in Run run, ulong limit, out ulong iterations) => run.Operation switch
    {
        Operation.Movs => Movs(c, in run, limit, out iterations),
        Operation.Stos => Stos(c, in run, limit, out iterations),
        Operation.Lods => Lods(c, in run, limit, out iterations),
        Operation.Cmps => Cmps(c, in run, limit, out iterations),
        Operation.Scas => Scas(c, in run, limit, out iterations),
        Operation.Ins => Ins(c, in run, out iterations),
        _ => Outs(c, in run, out iterations),
    };

    /// <summary>What a batch may do at an address.</summary>
    private enum Reach : byte
    {
        /// <summary>Host pointer to all elements.</summary>
        Bulk,
        /// <summary>RAM, one element, then yield.</summary>
        Single,
        Faulted,
    }

    /// <summary>Asks for a host pointer to <paramref name="elements"/> to read (0 elements: a page crossing, taken singly).</summary>
    private static Reach ReachForRead(CpuContext c, in Run run, ulong address, ulong elements, out byte* pointer)
    {
        pointer = null;
        if (elements == 0)
            return Reach.Single;
        if (!TryGetRun(c, in run, address, elements, write: false, out pointer))
            return Reach.Faulted;
        return pointer == null ? Reach.Single : Reach.Bulk;
    }

    /// <summary>
    /// The same for stores. One element and a yield as well where a store may change the instruction itself (its own page) or a mapping (a page
    /// table in use, for which the paging unit gives no pointer).
    /// </summary>
    private static Reach ReachForWrite(CpuContext c, in Run run, ulong address, ulong elements, out byte* pointer)
    {
        pointer = null;
        if (elements == 0)
            return Reach.Single;
        if (!TryGetRun(c, in run, address, elements, write: true, out pointer))
            return Reach.Faulted;
        bool own = SamePage(pointer, run.FirstCodeByte) || SamePage(pointer, run.LastCodeByte);
        return pointer == null || own ? Reach.Single : Reach.Bulk;
    }

    /// <summary>Pointer to the lowest element of a batch inside one page; a fault is reported for the first element in the direction of the run.</summary>
    private static bool TryGetRun(CpuContext c, in Run run, ulong address, ulong elements, bool write, out byte* pointer)
    {
        pointer = null;
        if (!c.IsAligned(address, run.Size, write, stack: false))
            return false;
        if (c.TryGetPointer(Lowest(address, in run, elements), (int)(elements * (uint)run.Size), write, out pointer))
            return true;
        if (run.Backward && elements > 1)
            c.TryGetPointer(address, run.Size, write, out _); // faults as well: it is the same page
        return false;
    }

    private static bool SamePage(byte* a, byte* b) => (((ulong)a ^ (ulong)b) & ~(PageSize - 1)) == 0;

    /// <summary>Host address of an instruction byte; null outside RAM.</summary>
    private static byte* CodePointer(CpuContext c, ulong rip) => c.Mmu.TryPeek(rip, out ulong physical) ? c.Mmu.HostPointer(physical) : null;
}
