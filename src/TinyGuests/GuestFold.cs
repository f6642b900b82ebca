namespace FtAkka.TinyGuests;

/// <summary>The guest's checksum: FNV-1a over 64-bit words.</summary>
internal sealed class GuestFold
{
    /// <summary>Value before anything has been folded in.</summary>
    public const ulong Start = 0xcbf2_9ce4_8422_2325;

    /// <summary>The checksum so far.</summary>
    public ulong Value { get; private set; } = Start;

    /// <summary>Folds one word in.</summary>
    public void Add(ulong word) => Value = unchecked((Value ^ word) * 0x0000_0100_0000_01b3);
}
