using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>What a block was translated for, apart from its address: blocks of different modes never reach each other directly.</summary>
[Flags]
internal enum BlockMode
{
    /// <summary>CPL 3: uses the user set of the soft TLB.</summary>
    User = 1,
    /// <summary>One instruction only, never linked.</summary>
    Single = 2,
    /// <summary>One instruction whose memory operands are in <see cref="Engine.EngineState.Bounce"/>.</summary>
    Bounce = 4,
    /// <summary>x87/MMX instructions raise #NM (CR0.EM or TS) or need a look at pending exceptions: they run in C#.</summary>
    X87Trapped = 8,
    /// <summary>SSE instructions raise #UD or #NM (CR0.EM, TS, CR4.OSFXSR).</summary>
    SseTrapped = 16,
    /// <summary>Alignment checks are on (CR0.AM, RFLAGS.AC, CPL 3).</summary>
    AlignmentCheck = 32,
    /// <summary>The guest has unmasked SIMD exceptions: such instructions run one at a time with a look at MXCSR behind them.</summary>
    SimdUnmasked = 64,
    /// <summary>The guest has unmasked x87 exceptions.</summary>
    X87Unmasked = 128,
    /// <summary>CPL 1 or 2: in the supervisor set, but without its privileges.</summary>
    Inner = 256,
}

/// <summary>A translated run of guest instructions that lies in one guest page (or one instruction that crosses into the next).</summary>
internal sealed class Block
{
    /// <summary>Linear address of the first instruction.</summary>
    public required ulong LinearAddress { get; init; }
    /// <summary>Guest physical address of the first byte.</summary>
    public required ulong PhysicalAddress { get; init; }
    /// <summary>Guest physical address where the second page begins, for a crossing instruction; else ulong.MaxValue.</summary>
    public ulong SecondPhysicalAddress { get; init; } = ulong.MaxValue;
    public required BlockMode Mode { get; init; }
    public required int Id { get; init; }

    /// <summary>Instructions counted by the block's head; a special instruction behind them is not among them.</summary>
    public int InstructionCount { get; set; }
    /// <summary>Guest bytes read, the special instruction included.</summary>
    public int LengthBytes { get; set; }
    /// <summary>Host address of the head.</summary>
    public nint Entry { get; set; }
    /// <summary>The bytes changed: never enter it again.</summary>
    public bool Dead { get; set; }
    /// <summary>The special instruction (or undefined one) the block ends with, when <see cref="EndsSpecial"/>.</summary>
    public Instruction Special;
    public bool EndsSpecial { get; set; }
    /// <summary>The block ends before an instruction at which the host's debugger wants to stop.</summary>
    public bool IsHostBreakpoint { get; set; }
    /// <summary>Head of the list of links that jump straight here; -1: none.</summary>
    public int FirstIncomingLink { get; set; } = -1;
    /// <summary>Next in the same bucket of the block table.</summary>
    public Block? NextInBucket;
    public Block? NextOnPage { get; set; }
    public Block? NextOnSecondPage { get; set; }

    public bool Crossing => SecondPhysicalAddress != ulong.MaxValue;
}

/// <summary>One memory check in emitted code; found by the number behind its call instruction.</summary>
internal struct Site
{
    public int Block;
    /// <summary>Host address behind the check, where the addend is looked up through the index register.</summary>
    public int Resume;
    /// <summary>Byte offset of the instruction in the block.</summary>
    public ushort Offset;
    /// <summary>Instructions of the block that are complete when this one runs.</summary>
    public byte Index;
    public byte SizeBytes;
    /// <summary>Host register that holds the effective address.</summary>
    public byte AddressRegister;
    public bool Write;
    /// <summary>Alignment in bytes that the instruction itself demands (#GP), or 1.</summary>
    public byte RequiredAlignment;
    /// <summary>The default segment is SS: non-canonical addresses give #SS.</summary>
    public bool Stack;
    /// <summary>RFLAGS bits that the host's flags do not have right when the check runs: the guest has them clear.</summary>
    public ushort Undefined;
}

/// <summary>One direct branch out of a block.</summary>
internal struct Link
{
    public int Block;
    /// <summary>Host address of the rel32 to patch.</summary>
    public int Patch;
    /// <summary>Host address of the stub it leads to while unlinked.</summary>
    public int Stub;
    public ulong Target;
    /// <summary>May be patched straight to the target: same page, regular mode.</summary>
    public bool SamePage;
    /// <summary>Next in the target's list of incoming links; -1: end.</summary>
    public int NextIncoming;
    /// <summary>Number of the block it is patched to; -1: none.</summary>
    public int To;
    /// <summary>It is in the list of links into its target's page (see ExecutionEngine.Links); the next one there, or -1.</summary>
    public bool IsFar;
    public int NextFar;
}
