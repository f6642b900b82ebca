namespace FtAkka.Replication.Protection;

/// <summary>
/// A reading of the local host's monotonic clock, handed in with every step. Two readings of one process can be subtracted; a reading
/// of another process means nothing here and is only echoed.
/// </summary>
/// <param name="Ticks">Units of 100 ns since some moment before the process began.</param>
public readonly record struct Instant(long Ticks) : IComparable<Instant>
{
    /// <summary>Later than every reading.</summary>
    public static Instant Latest => new(long.MaxValue);

    /// <summary>Earlier than every reading.</summary>
    public static Instant Earliest => new(long.MinValue);

    /// <summary>The time since the moment from which the clock counts.</summary>
    public TimeSpan SinceStart => new(Ticks);

    /// <summary>A later reading. <see cref="Latest"/> and <see cref="Earliest"/> stay what they are.</summary>
    public static Instant operator +(Instant instant, TimeSpan span) =>
        new(instant == Latest || instant == Earliest ? instant.Ticks : checked(instant.Ticks + span.Ticks));

    public static TimeSpan operator -(Instant later, Instant earlier) => new(checked(later.Ticks - earlier.Ticks));

    public static bool operator <(Instant left, Instant right) => left.Ticks < right.Ticks;

    public static bool operator >(Instant left, Instant right) => left.Ticks > right.Ticks;

    public static bool operator <=(Instant left, Instant right) => left.Ticks <= right.Ticks;

    public static bool operator >=(Instant left, Instant right) => left.Ticks >= right.Ticks;

    public static Instant Max(Instant left, Instant right) => left > right ? left : right;

    public int CompareTo(Instant other) => Ticks.CompareTo(other.Ticks);
}
