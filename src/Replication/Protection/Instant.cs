namespace FtAkka.Replication.Protection;

/// <summary>
/// A reading of the local host's monotonic clock, handed in with every step. Two readings of one process can be subtracted; a reading
/// of another process means nothing here and is only echoed.
/// </summary>
/// <param name="Ticks">Units of 100 ns since some moment before the process began.</param>
public readonly record struct Instant(long Ticks) : IComparable<Instant>
{
    /// <summary>Later than every reading: a right without end.</summary>
    public static Instant Never => new(long.MaxValue);

    /// <summary>Before every reading: no right at all.</summary>
    public static Instant Always => new(long.MinValue);

    public static Instant operator +(Instant instant, TimeSpan span) =>
        new(instant == Never || instant == Always ? instant.Ticks : checked(instant.Ticks + span.Ticks));

    public static TimeSpan operator -(Instant later, Instant earlier) => new(checked(later.Ticks - earlier.Ticks));

    public static bool operator <(Instant left, Instant right) => left.Ticks < right.Ticks;

    public static bool operator >(Instant left, Instant right) => left.Ticks > right.Ticks;

    public static bool operator <=(Instant left, Instant right) => left.Ticks <= right.Ticks;

    public static bool operator >=(Instant left, Instant right) => left.Ticks >= right.Ticks;

    public static Instant Max(Instant left, Instant right) => left > right ? left : right;

    public int CompareTo(Instant other) => Ticks.CompareTo(other.Ticks);
}
