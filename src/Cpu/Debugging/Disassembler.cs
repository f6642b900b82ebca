using Iced.Intel;

namespace FtAkka.Cpu.Debugging;

/// <summary>One instruction as text.</summary>
/// <param name="Address">Linear address.</param>
/// <param name="LengthBytes">Its length.</param>
/// <param name="Text">In Intel's notation.</param>
public readonly record struct DisassembledInstruction(ulong Address, int LengthBytes, string Text);

/// <summary>64-bit code as text, for people.</summary>
public static class Disassembler
{
    /// <summary>Up to <paramref name="count"/> instructions from the start of <paramref name="code"/>; stops where the bytes end.</summary>
    public static IReadOnlyList<DisassembledInstruction> Disassemble(ReadOnlySpan<byte> code, ulong address, int count)
    {
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(code.ToArray()), address);
        var formatter = new NasmFormatter();
        formatter.Options.HexPrefix = "0x";
        formatter.Options.HexSuffix = null;
        formatter.Options.SpaceAfterOperandSeparator = true;
        var output = new StringOutput();
        var lines = new List<DisassembledInstruction>(count);
        while (lines.Count < count)
        {
            decoder.Decode(out Instruction instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
            {
                break;
            }
            formatter.Format(instruction, output);
            lines.Add(new DisassembledInstruction(instruction.IP, instruction.Length, output.ToStringAndReset()));
        }
        return lines;
    }
}
