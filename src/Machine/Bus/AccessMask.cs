namespace FtAkka.Machine.Bus;

/// <summary>Masks for the access sizes of the x86 bus.</summary>
internal static class AccessMask
{
    /// <summary>Ones in the low <paramref name="size"/> (1, 2, 4 or 8) bytes.</summary>
    public static ulong Of(int size) => size >= 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;
}
