using System.Numerics;

namespace FtAkka.Replication.Protection;

/// <summary>
/// How long outputs waited for the backup's acknowledgement, as a histogram with eight steps to each power of two: what the output rule costs whoever
/// waits for an answer of the guest. A value read from it is at most an eighth above the true one. Pure.
/// </summary>
public sealed class OutputDelays
{
    private const int StepBits = 3;

    /// <summary>Up to some two minutes, in microseconds; what is longer counts as that.</summary>
    private readonly long[] _counts = new long[(27 - StepBits + 1) << StepBits];

    /// <summary>Outputs counted.</summary>
    public long Count { get; private set; }

    /// <summary>Counts an output.</summary>
    public void Add(TimeSpan delay)
    {
        Count++;
        _counts[IndexOf(Math.Max(0, delay.Ticks / TimeSpan.TicksPerMicrosecond))]++;
    }

    /// <summary>The delay that this share of the outputs did not exceed; zero if there were none.</summary>
    /// <param name="share">Between 0 and 1.</param>
    public TimeSpan AtShare(double share)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(share);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(share, 1);
        long wanted = Math.Max(1, (long)Math.Ceiling(share * Count));
        long seen = 0;
        for (int i = 0; i < _counts.Length && Count > 0; i++)
        {
            seen += _counts[i];
            if (seen >= wanted)
                return TimeSpan.FromMicroseconds(TopOf(i));
        }
        return TimeSpan.Zero;
    }

    private int IndexOf(long microseconds)
    {
        if (microseconds < 1 << StepBits)
            return (int)microseconds;
        int exponent = BitOperations.Log2((ulong)microseconds);
        int index = ((exponent - StepBits + 1) << StepBits) + (int)((microseconds >> (exponent - StepBits)) & ((1 << StepBits) - 1));
        return Math.Min(index, _counts.Length - 1);
    }

    /// <summary>The greatest delay of a step.</summary>
    private static long TopOf(int index)
    {
        if (index < 1 << StepBits)
            return index;
        int shift = (index >> StepBits) - 1;
        long first = (long)((1 << StepBits) + (index & ((1 << StepBits) - 1))) << shift;
        return first + (1L << shift) - 1;
    }
}
