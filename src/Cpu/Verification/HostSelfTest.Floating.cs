using System.Buffers.Binary;

namespace FtAkka.Cpu.Verification;

/// <content>Which of two NaNs comes out, which SIMD flags go together, and the x87 condition codes.</content>
public static partial class HostSelfTest
{
    private const uint QuietNan = 0x7FC0_0000, SignallingNan = 0x7F80_0000;
    private const uint InvalidFlag = 1, DivideFlag = 4, SimdFlags = 0x3F;
    private const ushort C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000;

    private static IEnumerable<Fact> Vectors()
    {
        foreach ((string name, byte opcode) in new (string, byte)[] { ("ADDPS", 0x58), ("MULPS", 0x59), ("SUBPS", 0x5C), ("DIVPS", 0x5E) })
        {
            yield return Nans($"{name}: of two NaNs the first", [0x0F, opcode, 0xC1], QuietNan, [1, 2, 3, 4]);
            yield return Nans($"{name}: of two NaNs the first, if it signals, too", [0x0F, opcode, 0xC1], SignallingNan, [1, 2, 3, 4]);
        }
        yield return Nans("HADDPS: of two NaNs the lower", [0xF2, 0x0F, 0x7C, 0xC1], QuietNan, [1, 3, 5, 7]);
        yield return Nans("HSUBPS: of two NaNs the lower", [0xF2, 0x0F, 0x7D, 0xC1], QuietNan, [1, 3, 5, 7]);
        yield return Nans("ADDSUBPS: of two NaNs the first", [0xF2, 0x0F, 0xD0, 0xC1], QuietNan, [1, 2, 3, 4]);
        const uint denormal = 1, sign = 0x8000_0000;
        yield return Flags("DIVSS of a denormal by zero", 0x5E, denormal, 0, DivideFlag);
        yield return Flags("SQRTSS of a negative denormal", 0x51, 0, denormal | sign, InvalidFlag);
        yield return Flags("ADDSS of a denormal and a NaN", 0x58, denormal, QuietNan, 0);
        yield return Flags("ADDSS of a denormal and a signalling NaN", 0x58, denormal, SignallingNan | 1, InvalidFlag);
    }

    /// <summary>Lanes 1 to 4 of the first operand are NaNs with payloads 1 to 4, those of the second quiet ones with 5 to 8.</summary>
    private static Fact Nans(string name, byte[] code, uint first, uint[] expected) => new(name, code, state =>
    {
        for (int lane = 0; lane < 4; lane++)
        {
            SetLane(state, 0, lane, first | (uint)(lane + 1));
            SetLane(state, 1, lane, QuietNan | (uint)(lane + 5));
        }
    }, state => Enumerable.Range(0, 4).All(lane => Lane(state, lane) == (QuietNan | expected[lane])));

    private static Fact Flags(string name, byte opcode, uint first, uint second, uint expected) => new($"{name}: the flags in MXCSR", [0xF3, 0x0F, opcode, 0xC1], state =>
    {
        SetLane(state, 0, 0, first);
        SetLane(state, 1, 0, second);
    }, state => (state.Mxcsr & SimdFlags) == expected);

    private static void SetLane(MachineState state, int register, int lane, uint value) =>
        BinaryPrimitives.WriteUInt32LittleEndian(state.Xmm(register)[(4 * lane)..], value);

    private static uint Lane(MachineState state, int lane) => BinaryPrimitives.ReadUInt32LittleEndian(state.Xmm(0)[(4 * lane)..]);

    private static IEnumerable<Fact> Stack()
    {
        (string Name, byte[] Code)[] keepThree =
        [
            ("FADD", [0xD8, 0xC1]), ("FMUL", [0xD8, 0xC9]), ("FDIV", [0xD8, 0xF1]), ("FSQRT", [0xD9, 0xFA]), ("FRNDINT", [0xD9, 0xFC]), ("FSCALE", [0xD9, 0xFD]),
            ("FCHS", [0xD9, 0xE0]), ("FABS", [0xD9, 0xE1]), ("FXCH", [0xD9, 0xC9]), ("FLD", [0xD9, 0xC1]), ("FLD1", [0xD9, 0xE8]), ("FSTP", [0xDD, 0xD9]),
            ("FINCSTP", [0xD9, 0xF7]), ("FDECSTP", [0xD9, 0xF6]), ("FFREE", [0xDD, 0xC1]),
        ];
        foreach ((string name, byte[] code) in keepThree)
        {
            // All values are 1, so that nothing is rounded up.
            yield return new Fact($"{name}: C0, C2 and C3 are as they were, C1 is clear", code, state => Fill(state, C0 | C1 | C2 | C3),
                state => (state.Fsw & (C0 | C1 | C2 | C3)) == (C0 | C2 | C3));
            yield return new Fact($"{name}: C0, C2 and C3 stay clear", code, state => Fill(state, 0), state => (state.Fsw & (C0 | C1 | C2 | C3)) == 0);
        }
        foreach ((string name, byte[] code) in new (string, byte[])[] { ("FNOP", [0xD9, 0xD0]), ("FCOMI", [0xDB, 0xF1]), ("FUCOMI", [0xDB, 0xE9]), ("FCMOVB", [0xDA, 0xC1]) })
        {
            yield return new Fact($"{name}: C0 to C3 are as they were", code, state => Fill(state, C0 | C1 | C2 | C3),
                state => (state.Fsw & (C0 | C1 | C2 | C3)) == (C0 | C1 | C2 | C3));
        }
        // 2^64 + 2^24 by 1: a reduction by 2^32 leaves 2^24 and is not complete; another step would leave nothing.
        yield return new Fact("FPREM: a gap of 64 is reduced by 32", [0xD9, 0xF8], state =>
        {
            Fill(state, 0);
            SetSt(state, 0, 0x3FFF + 64, 0x8000_0000_0080_0000);
        }, state => (state.Fsw & C2) != 0 && IsSt(state, 0x3FFF + 24, 0x8000_0000_0000_0000));
        yield return new Fact("FPREM: a gap of 96 is reduced by 32", [0xD9, 0xF8], state =>
        {
            Fill(state, 0);
            SetSt(state, 0, 0x3FFF + 96, 0x8000_0000_0000_0008);
        }, state => (state.Fsw & C2) != 0 && IsSt(state, 0x3FFF + 36, 0x8000_0000_0000_0000));
    }

    /// <summary>Three registers hold 1, and the rest nothing; the condition codes are given.</summary>
    private static void Fill(MachineState state, ushort conditions)
    {
        state.Fsw = conditions;
        state.Ftw = 7;
        for (int i = 0; i < 3; i++)
        {
            SetSt(state, i, 0x3FFF, 0x8000_0000_0000_0000);
        }
    }

    private static void SetSt(MachineState state, int i, ushort exponent, ulong significand)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(state.St(i), significand);
        BinaryPrimitives.WriteUInt16LittleEndian(state.St(i)[8..], exponent);
    }

    private static bool IsSt(MachineState state, ushort exponent, ulong significand) =>
        BinaryPrimitives.ReadUInt64LittleEndian(state.St(0)) == significand && BinaryPrimitives.ReadUInt16LittleEndian(state.St(0)[8..]) == exponent;
}
