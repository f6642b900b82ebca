namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere for the same seed.</summary>
internal sealed class SeededRandom(ulong seed)
{
    private ulong _state = seed;

    public ulong Next()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in [0, bound).</summary>
    public int Below(int bound) => (int)((Next() >> 33) % (uint)bound);

    /// <summary>Uniform in [low, high], both included.</summary>
    public int Between(int low, int high) => low + Below(high - low + 1);

    /// <summary>True in <paramref name="percent"/> of all cases.</summary>
    public bool Percent(int percent) => Below(100) < percent;

    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    public void Fill(Span<byte> bytes)
    {
        int i = 0;
        for (; i + 8 <= bytes.Length; i += 8) { System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(bytes[i..], Next()); }
        for (; i < bytes.Length; i++) { bytes[i] = (byte)Next(); }
    }
}
