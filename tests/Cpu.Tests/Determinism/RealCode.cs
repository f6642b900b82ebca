using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Determinism;

/// <summary>Plausible code: valid instructions of many kinds, whose memory operands mostly hit the data pages.</summary>
internal static class RealCode
{
    /// <summary>Too rare in random bytes: CLI, STI, PUSHFQ, POPFQ (also of a harmless image), SWAPGS, SYSCALL, SYSRETQ, reads of control and segment registers.</summary>
    private static readonly byte[][] s_system =
    [
        [0xFA], [0xFB], [0x9C], [0x9D], [0x9C, 0x58], [0x68, 0x02, 0x02, 0x00, 0x00, 0x9D], [0x68, 0xD7, 0x0E, 0x00, 0x00, 0x9D], [0x9C, 0xFA, 0x9D],
        [0x0F, 0x01, 0xF8], [0x0F, 0x05], [0x48, 0x0F, 0x07], [0x0F, 0x20, 0xC0], [0x0F, 0x20, 0xDA], [0x41, 0x0F, 0x20, 0xD4], [0x8C, 0xD8], [0x66, 0x8C, 0xCB], [0x49, 0x8C, 0xD5],
    ];

    /// <summary>Fills a buffer with instructions drawn from random bytes, keeping only what decodes to something the CPU executes.</summary>
    public static void Fill(byte[] code, Random random)
    {
        var bytes = new byte[15];
        int at = 0;
        while (at < code.Length - 15)
        {
            if (random.Next(16) == 0)
            {
                byte[] system = s_system[random.Next(s_system.Length)];
                system.CopyTo(code, at);
                at += system.Length;
                continue;
            }
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
