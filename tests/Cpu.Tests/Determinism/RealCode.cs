using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Determinism;

/// <summary>Plausible code: valid instructions of many kinds, whose memory operands mostly hit the data pages.</summary>
internal static class RealCode
{
    /// <summary>Fills a buffer with instructions drawn from random bytes, keeping only what decodes to something the CPU executes.</summary>
    public static void Fill(byte[] code, Random random)
    {
        var bytes = new byte[15];
        int at = 0;
        while (at < code.Length - 15)
        {
            random.NextBytes(bytes);
            if (random.Next(3) == 0)
            {
                bytes[0] = (byte)(0x48 | random.Next(8)); // REX.W: most 64-bit code carries it
            }
            if (random.Next(6) == 0)
            {
                bytes[1] = 0x0F;
            }
            var decoder = Decoder.Create(64, bytes, InstructionPolicy.DecoderOptions);
            Instruction instruction = decoder.Decode();
            if (instruction.IsInvalid)
            {
                continue;
            }
            InstructionClass kind = InstructionPolicy.ClassOf(instruction.Code);
            bool rare = kind == InstructionClass.Special && !instruction.Code.IsStringInstruction();
            bool farBranch = instruction.FlowControl is FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch or FlowControl.Call
                && (instruction.NearBranchTarget + (ulong)at) % (ulong)code.Length != instruction.NearBranchTarget + (ulong)at;
            bool wild = InstructionPolicy.HasMemoryOperand(instruction) && instruction.MemoryDisplacement64 is > 0x8000 and < 0xFFFF_FFFF_FFFF_8000;
            if (kind == InstructionClass.Undefined || farBranch || (wild && random.Next(50) != 0) || (rare && random.Next(8) != 0))
            {
                continue;
            }
            bytes.AsSpan(0, instruction.Length).CopyTo(code.AsSpan(at));
            at += instruction.Length;
        }
    }
}
