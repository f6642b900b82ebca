namespace FtAkka.Cpu.Architecture;

/// <summary>
/// 1/x and 1/sqrt(x) of single-precision bits, with a relative error below 1.5 * 2^-12 as the architecture promises (Intel SDM vol. 2B, RCPSS and RSQRTSS), which
/// leaves the value open. Integers alone: no host, compiler or rounding mode takes part.
/// </summary>
/// <remarks>
/// The operand's leading bits (11 of the fraction; for the root 10, and the parity of the exponent) with a half behind them are the middle of the interval in
/// which it lies; the result is exact for the middle, rounded to 13 bits. Measured on one of Intel's microarchitectures, RCP is this in every one of 235 million operands.
/// </remarks>
internal static class ReciprocalEstimates
{
    private const uint SignBit = 0x8000_0000, Infinity = 0x7F80_0000, QuietBit = 0x0040_0000, DefaultNan = 0xFFC0_0000, FractionMask = 0x007F_FFFF;
    private const int FractionBits = 23, Bias = 127, ExponentMax = 255;

    /// <summary>Results have 13 significant bits: a leading one, which is not stored, and 12 of the fraction.</summary>
    private const int ResultBits = 13;

    /// <summary>RCP: of zeros and denormals the infinity of their sign; results that would be denormal are zero.</summary>
    public static uint Of(uint operand)
    {
        uint sign = operand & SignBit, fraction = operand & FractionMask;
        int exponent = (int)(operand >> FractionBits) & ExponentMax;
        if (exponent == ExponentMax)
        {
            return fraction != 0 ? operand | QuietBit : sign;
        }
        if (exponent == 0)
        {
            return sign | Infinity;
        }
        int resultExponent = (2 * Bias) - 1 - exponent;
        if (resultExponent <= 0)
        {
            return sign;
        }
        const int indexBits = 11;
        // 1.f in halves of the last index bit; 2^13 / 1.f, doubled once more for rounding.
        ulong middle = (2UL << indexBits) + (2 * (fraction >> (FractionBits - indexBits))) + 1;
        ulong doubled = (2UL << (ResultBits + indexBits + 1)) / middle;
        return sign | Pack(resultExponent, (doubled + 1) / 2);
    }

    /// <summary>RSQRT: of zeros and denormals the infinity of their sign, of other negative numbers the default NaN.</summary>
    public static uint OfSquareRoot(uint operand)
    {
        uint sign = operand & SignBit, fraction = operand & FractionMask;
        int exponent = (int)(operand >> FractionBits) & ExponentMax;
        if (exponent == ExponentMax && fraction != 0)
        {
            return operand | QuietBit;
        }
        if (exponent == 0)
        {
            return sign | Infinity;
        }
        if (sign != 0)
        {
            return DefaultNan;
        }
        if (exponent == ExponentMax)
        {
            return 0;
        }
        const int indexBits = 10;
        // The operand is 1.f * 2^odd * 4^half.
        int odd = (exponent - Bias) & 1;
        int half = (exponent - Bias - odd) / 2;
        ulong middle = (2UL << indexBits) + (2 * (fraction >> (FractionBits - indexBits))) + 1;
        // (2 * 2^13)^2 / (1.f * 2^odd): its root is the result, doubled for rounding.
        ulong square = (4UL << ((2 * ResultBits) + indexBits + 1 - odd)) / middle;
        return Pack(Bias - 1 - half, (SquareRoot(square) + 1) / 2);
    }

    private static uint Pack(int exponent, ulong significand)
    {
        const uint stored = (1u << (ResultBits - 1)) - 1;
        return ((uint)exponent << FractionBits) | (((uint)significand & stored) << (FractionBits - ResultBits + 1));
    }

    /// <summary>The largest integer whose square is not more than the value, bit by bit.</summary>
    private static ulong SquareRoot(ulong value)
    {
        ulong root = 0;
        for (ulong bit = 1UL << (ResultBits + 1); bit != 0; bit >>= 1)
        {
            ulong candidate = root | bit;
            if (candidate * candidate <= value)
            {
                root = candidate;
            }
        }
        return root;
    }
}
