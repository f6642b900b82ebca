namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// A seeded generator (SplitMix64) whose sequence is part of every recorded seed, so that it may never change. Streams derived by
/// name are independent: drawing from one does not move another.
/// </summary>
public sealed class SimulatedRandom(ulong seed)
{
    private const ulong Golden = 0x9E37_79B9_7F4A_7C15;
    private ulong _state = seed;

    /// <summary>A generator of its own for one purpose.</summary>
    public static SimulatedRandom Stream(ulong seed, string purpose)
    {
        ArgumentNullException.ThrowIfNull(purpose);
        var hash = 14695981039346656037UL;   // FNV-1a, 64 bit
        foreach (var c in purpose)
        {
            hash = (hash ^ c) * 1099511628211UL;
        }

        return new SimulatedRandom(Mix(seed + Golden) ^ hash);
    }

    /// <summary>64 random bits.</summary>
    public ulong Next() => Mix(_state += Golden);

    /// <summary>A number from 0 up to, not including, <paramref name="bound"/>.</summary>
    public int Below(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);
        return (int)(((Next() >> 32) * (ulong)bound) >> 32);
    }

    /// <summary>True with a chance of so many in a million.</summary>
    public bool Chance(int perMillion) => perMillion > 0 && Below(1_000_000) < perMillion;

    /// <summary>A time between two bounds, to the tick.</summary>
    public TimeSpan Between(TimeSpan least, TimeSpan most)
    {
        var range = (ulong)Math.Max(0, most.Ticks - least.Ticks) + 1;
        return least + TimeSpan.FromTicks((long)(Next() % range));
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
