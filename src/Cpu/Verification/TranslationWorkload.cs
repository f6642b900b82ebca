using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// Guest code that is executed once: the straight-line instructions of a given program, in its order and over and over, cut into short blocks. Running it
/// costs little but its translation, which is what it measures.
/// </summary>
internal static class TranslationWorkload
{
    /// <summary>Instructions to a block, the jump included; about what compiled code has.</summary>
    private const int BlockInstructions = 7;
    private const int JumpBytes = 5, ReturnBytes = 2;

    /// <summary>Fills <paramref name="code"/> (to run at <paramref name="address"/>) from the instructions in <paramref name="source"/>; ends with SYSCALL.</summary>
    /// <returns>Number of instructions. RDI must point at 4 KiB of memory, 16-aligned.</returns>
    public static int Fill(Span<byte> code, ulong address, ReadOnlySpan<byte> source)
    {
        List<Instruction> instructions = StraightLine(source);
        var writer = new ByteListWriter();
        var encoder = Encoder.Create(64, writer);
        int position = 0, count = 0, next = 0;
        while (position + 15 + JumpBytes + ReturnBytes <= code.Length)
        {
            writer.Clear();
            if (count % BlockInstructions == BlockInstructions - 1)
            {
                encoder.Encode(Instruction.CreateBranch(Code.Jmp_rel32_64, address + (ulong)(position + JumpBytes)), address + (ulong)position);
            }
            else
            {
                Instruction instruction = instructions[next++ % instructions.Count];
                encoder.Encode(instruction, address + (ulong)position);
            }
            writer.Bytes.CopyTo(code[position..]);
            position += writer.Bytes.Length;
            count++;
        }
        code[position] = 0x0F; // SYSCALL
        code[position + 1] = 0x05;
        return count + 1;
    }

    /// <summary>What can run anywhere: re-emitted, leaves RDI and RSP alone; memory operands are moved to near RDI.</summary>
    private static List<Instruction> StraightLine(ReadOnlySpan<byte> source)
    {
        var result = new List<Instruction>();
        var factory = new InstructionInfoFactory();
        var decoder = Decoder.Create(64, source.ToArray(), InstructionPolicy.DecoderOptions);
        while (decoder.IP < (ulong)source.Length)
        {
            decoder.Decode(out Instruction instruction);
            ref readonly InstructionRule rule = ref InstructionPolicy.Of(instruction.Code);
            if (instruction.IsInvalid || rule.Class != InstructionClass.Reemit || rule.NeedsFpuCheck || Changes(factory, instruction))
            {
                continue;
            }
            bool memory = rule.Access != OperandAccess.None && InstructionPolicy.HasMemoryOperand(instruction);
            if (memory && instruction.MemoryDisplSize == 8 && instruction.MemoryBase == Register.None)
            {
                continue; // a 64-bit absolute address: hardly any program has one
            }
            if (memory)
            {
                instruction.SegmentPrefix = Register.None;
                instruction.MemoryBase = Register.RDI;
                instruction.MemoryIndex = Register.None;
                instruction.MemoryDisplacement64 = (ulong)(result.Count * 16 % 4064);
                instruction.MemoryDisplSize = 8;
            }
            result.Add(instruction);
        }
        return result;
    }

    private static bool Changes(InstructionInfoFactory factory, in Instruction instruction)
    {
        foreach (UsedRegister used in factory.GetInfo(instruction).GetUsedRegisters())
        {
            bool writes = used.Access is not OpAccess.Read and not OpAccess.CondRead and not OpAccess.None and not OpAccess.NoMemAccess;
            if (writes && used.Register.GetFullRegister() is Register.RDI or Register.RSP) { return true; }
        }
        return false;
    }
}
