using System.Collections.Immutable;
using FtAkka.Machine.Events;

namespace FtAkka.Replication.Protection;

/// <summary>
/// How far whoever shows or stores a console has got. A replica that goes live may send bytes again that had left before; this end
/// drops them by their offset, so that each is shown once.
/// </summary>
public sealed class ConsoleCursor(ulong position = 0)
{
    /// <summary>Bytes taken since power-on.</summary>
    public ulong Position { get; private set; } = position;

    /// <summary>The bytes of <paramref name="output"/> that are new here.</summary>
    /// <returns>False if bytes between <see cref="Position"/> and the output are missing; nothing is taken then.</returns>
    public bool TryTake(ConsoleOutput output, out ImmutableArray<byte> fresh)
    {
        ArgumentNullException.ThrowIfNull(output);
        fresh = [];
        if (output.StreamOffset > Position)
            return false;
        ulong known = Position - output.StreamOffset;
        if (known < (ulong)output.Bytes.Length)
        {
            fresh = output.Bytes[(int)known..];
            Position += (ulong)fresh.Length;
        }
        return true;
    }
}
