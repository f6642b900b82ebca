namespace FtAkka.TinyGuests;

/// <summary>The guest's generator, xorshift64*. The state must not be zero.</summary>
internal sealed class GuestRandom(ulong state)
{
    /// <summary>The next number.</summary>
    public ulong Next()
    {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return unchecked(state * 0x2545_f491_4f6c_dd1d);
    }
}
