using System.Buffers.Binary;
using FtAkka.Cpu.Verification;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Register contents that reach corner cases far more often than uniform bits would.</summary>
internal static class RandomState
{
    /// <summary>Integer: corner values, small, powers of two, sign-extended, or uniform.</summary>
    public static ulong Integer(SeededRandom random) => random.Below(10) switch
    {
        0 => 0,
        1 => ulong.MaxValue,
        2 => (ulong)random.Between(-130, 130),
        3 => 1ul << random.Below(64),
        4 => (1ul << random.Below(64)) - 1,
        5 => (ulong)(int)random.Next(),
        6 => (uint)random.Next(),
        _ => random.Next(),
    };

    /// <summary>Fills all of <paramref name="state"/> but RIP and the stack pointer's value, which the generator sets.</summary>
    public static void Fill(MachineState state, SeededRandom random)
    {
        for (int i = 0; i < 16; i++) { state.Gpr[i] = Integer(random); }
        state.Rflags = random.Next() & MachineState.FlagMask;
        state.SegmentBase = 0;
        Array.Clear(state.Fx);
        FillX87(state, random);
        uint control = (uint)random.Next() & 0xE07F; // rounding, flush-to-zero, denormals-are-zero, sticky bits
        state.Mxcsr = random.Percent(50) ? 0x1F80 : control | 0x1F80;
        for (int i = 0; i < 16; i++) { Vector(state.Xmm(i), random); }
    }

    /// <summary>Sixteen (or more) bytes as floats, doubles, small integers, text or noise.</summary>
    public static void Vector(Span<byte> bytes, SeededRandom random)
    {
        int kind = random.Below(6);
        for (int i = 0; i + 8 <= bytes.Length; i += 8)
        {
            ulong value = kind switch
            {
                0 => Float(random) | ((ulong)Float(random) << 32),
                1 => Double(random),
                2 => Integer(random),
                3 => (uint)random.Between(-70000, 70000) | ((ulong)(uint)random.Between(-300, 300) << 32),
                4 => random.Next() & 0x6161616161616161 & (ulong)-random.Below(2),
                _ => random.Next(),
            };
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[i..], value);
        }
    }

    private static void FillX87(MachineState state, SeededRandom random)
    {
        bool clean = random.Percent(40); // as an ABI leaves it: all registers empty, default control word
        state.Fcw = clean ? (ushort)0x037F : (ushort)(0x007F | (random.Below(4) << 8) | (random.Below(4) << 10));
        state.Fsw = clean ? (ushort)0 : (ushort)(random.Next() & 0x7F7F);
        state.Ftw = clean ? (byte)random.Next() : (byte)(random.Next() | random.Next());
        for (int i = 0; i < 8; i++) { Extended(state.St(i), random); }
    }

    private static void Extended(Span<byte> bytes, SeededRandom random)
    {
        ulong fraction = random.Next();
        ushort sign = (ushort)(random.Below(2) << 15);
        (ulong mantissa, ushort exponent) = random.Below(9) switch
        {
            0 => (0ul, (ushort)0), // zero
            1 => (fraction >> 1, (ushort)0), // denormal
            2 => (1ul << 63, (ushort)0x7FFF), // infinity
            3 => (fraction | (3ul << 62), (ushort)0x7FFF), // quiet NaN
            4 => ((fraction | 1) & ~(1ul << 62) | (1ul << 63), (ushort)0x7FFF), // signalling NaN
            5 => (fraction & ~(1ul << 63), (ushort)random.Below(0x7FFF)), // unnormal: invalid operand since the 387
            6 => ((ulong)random.Below(100000) << 47 | (1ul << 63), (ushort)random.Between(0x3FF0, 0x4010)),
            _ => (fraction | (1ul << 63), (ushort)random.Between(0x3FC0, 0x4040)),
        };
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, mantissa);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[8..], (ushort)(exponent | sign));
    }

    private static uint Float(SeededRandom random)
    {
        uint sign = (uint)random.Below(2) << 31;
        return sign | random.Below(7) switch
        {
            0 => 0u,
            1 => (uint)random.Next() & 0x7FFFFF, // denormal
            2 => 0x7F800000, // infinity
            3 => 0x7F800000 | ((uint)random.Next() & 0x7FFFFF), // NaN, quiet or signalling
            4 => BitConverter.SingleToUInt32Bits(random.Below(1000)),
            _ => (uint)random.Between(100, 160) << 23 | ((uint)random.Next() & 0x7FFFFF),
        };
    }

    private static ulong Double(SeededRandom random)
    {
        ulong sign = (ulong)random.Below(2) << 63;
        return sign | random.Below(7) switch
        {
            0 => 0ul,
            1 => random.Next() >> 12,
            2 => 0x7FFul << 52,
            3 => 0x7FFul << 52 | random.Next() >> 12,
            4 => BitConverter.DoubleToUInt64Bits(random.Below(100000)),
            _ => (ulong)random.Between(960, 1090) << 52 | random.Next() >> 12,
        };
    }
}
