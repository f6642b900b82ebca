using System.Numerics;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Interrupts;

/// <summary>A set of interrupt vectors: the ISR, TMR or IRR of a local APIC (Intel SDM vol. 3A, 11.8.4).</summary>
internal sealed class VectorSet
{
    private readonly ulong[] words = new ulong[4];

    /// <summary>The highest vector in the set, or -1.</summary>
    public int Highest
    {
        get
        {
            for (var i = 3; i >= 0; i--)
            {
                if (words[i] != 0)
                    return i * 64 + 63 - BitOperations.LeadingZeroCount(words[i]);
            }
            return -1;
        }
    }

    public bool this[int vector]
    {
        get => (words[vector >> 6] >> (vector & 63) & 1) != 0;
        set
        {
            var bit = 1UL << (vector & 63);
            words[vector >> 6] = value ? words[vector >> 6] | bit : words[vector >> 6] & ~bit;
        }
    }

    /// <summary>The 32 vectors that register <paramref name="index"/> (0 to 7) shows.</summary>
    public uint Register(int index) => (uint)(words[index >> 1] >> ((index & 1) * 32));

    public void Clear() => Array.Clear(words);

    public void Snapshot(StateWriter writer)
    {
        foreach (var word in words)
            writer.WriteUInt64(word);
    }

    public void Restore(StateReader reader)
    {
        for (var i = 0; i < words.Length; i++)
            words[i] = reader.ReadUInt64();
    }
}
