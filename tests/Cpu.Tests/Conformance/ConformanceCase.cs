using System.Globalization;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Where the memory operand of a case lies in the guest. Natively it is plain memory in every case.</summary>
internal enum OperandPlace
{
    /// <summary>Ordinary RAM: anywhere, at a page end, across pages, misaligned.</summary>
    Ram,
    /// <summary>Guest physical addresses that are not RAM.</summary>
    Mmio,
    /// <summary>A page that may only be read; the case reads.</summary>
    ReadOnly,

    // The places below fault. The host does not take part.

    /// <summary>In, into or out of a page that is not present.</summary>
    NotPresent,
    /// <summary>A write to, or anything across the end of, a page that may only be read and is followed by one that is not present.</summary>
    ReadOnlyFault,
    /// <summary>A page that user mode may not touch.</summary>
    Supervisor,
    /// <summary>RAM, but not aligned as the instruction asks.</summary>
    Misaligned,
    /// <summary>An address that is not canonical.</summary>
    NonCanonical,
}

/// <summary>One instruction with everything it starts from.</summary>
internal sealed class ConformanceCase
{
    public required Code Code { get; init; }

    public MachineState Initial { get; } = new();

    public Instruction Instruction { get; set; }

    public byte[] Bytes { get; set; } = [];

    /// <summary>Where a taken branch leads, 0 if the instruction does not branch.</summary>
    public ulong BranchTarget { get; set; }

    /// <summary>Linear address of the first byte of the ModRM memory operand, or 0.</summary>
    public ulong OperandAddress { get; set; }

    public int OperandBytes { get; set; }

    /// <summary>Addresses near which the generator has written data since the case before this.</summary>
    public required IReadOnlyList<ulong> Touched { get; init; }

    /// <summary>In a sequence: the registers that are loaded before the instruction, so that its operand is where it should be.</summary>
    public IReadOnlyList<int> Loads { get; set; } = [];

    public OperandPlace Place { get; set; }

    /// <summary>Segment override that counts: FS, GS or none.</summary>
    public Register Segment { get; set; }

    /// <summary>
    /// The bytes to run natively: LOCK becomes an empty prefix, because a locked access across cache lines may be trapped or throttled by
    /// the host; and FS becomes GS, because FS belongs to the host's threads.
    /// </summary>
    public byte[] NativeBytes()
    {
        byte[] native = (byte[])Bytes.Clone();
        for (int i = 0; i < native.Length; i++)
        {
            switch (native[i])
            {
                case 0xF0: native[i] = 0x3E; break;
                case 0x64: native[i] = 0x65; break;
                case 0x65 or 0x66 or 0x67 or 0xF2 or 0xF3 or 0x26 or 0x2E or 0x36 or 0x3E: break;
                default: return native;
            }
        }
        return native;
    }

    /// <summary>
    /// Runs the case on the host. The NOP space is not left to the host, whose maker may have given it a meaning since (or, as AMD for
    /// 0F 0D with a register, #UD): nothing happens. Nor is what the architecture leaves open: <see cref="OpenResults"/>.
    /// </summary>
    public void RunNatively(NativeRunner runner, MachineState state)
    {
        var before = new MachineState();
        before.CopyFrom(state);
        Span<byte> operand = OperandAddress == 0 ? [] : runner.Data.Slice((int)(OperandAddress - runner.DataAddress), OperandBytes);
        byte[] operandBefore = operand.ToArray();
        if (InstructionPolicy.Of(Instruction.Code).Has(InstructionTraits.Nop))
        {
            Bytes.CopyTo(runner.Code[(int)(state.Rip - runner.CodeAddress)..]);
            state.Rip += (ulong)Bytes.Length;
        }
        else
        {
            runner.Run(state, NativeBytes(), BranchTarget);
        }
        OpenResults.Define(Instruction, before, operandBefore, state, operand);
    }

    public override string ToString()
    {
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        Instruction instruction = Instruction;
        formatter.Format(instruction, output);
        string registers = string.Join(' ', Initial.Gpr.Select((value, i) => string.Create(CultureInfo.InvariantCulture, $"{i}={value:x}")));
        return string.Create(CultureInfo.InvariantCulture,
            $"{Code}: {Convert.ToHexString(Bytes)} '{output.ToStringAndReset()}' at {Initial.Rip:x}, {Place} operand {OperandAddress:x}+{OperandBytes}, "
            + $"target {BranchTarget:x}, segment base {Initial.SegmentBase:x}, flags {Initial.Rflags:x}, mxcsr {Initial.Mxcsr:x}, fcw {Initial.Fcw:x}, "
            + $"fsw {Initial.Fsw:x}, ftw {Initial.Ftw:x}, gpr {registers}");
    }
}
