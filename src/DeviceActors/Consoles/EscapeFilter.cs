using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>
/// The escape key of an interactive console, as users of QEMU's <c>-nographic</c> know it: Ctrl-A X leaves, Ctrl-A Ctrl-A sends one
/// Ctrl-A, Ctrl-A and any other key send nothing. Pure; keeps only whether the last byte was Ctrl-A.
/// </summary>
public sealed class EscapeFilter
{
    private const byte ControlA = 1;

    private bool escaped;

    /// <summary>Filters typed bytes. What follows the leave command is dropped.</summary>
    public ImmutableArray<byte> Filter(ReadOnlySpan<byte> typed, out bool leave)
    {
        leave = false;
        ImmutableArray<byte>.Builder passed = ImmutableArray.CreateBuilder<byte>(typed.Length);
        foreach (byte value in typed)
        {
            if (!escaped)
            {
                escaped = value == ControlA;
                if (!escaped)
                {
                    passed.Add(value);
                }
                continue;
            }
            escaped = false;
            if (value == ControlA)
            {
                passed.Add(value);
            }
            else if (value is (byte)'x' or (byte)'X')
            {
                leave = true;
                break;
            }
        }
        return passed.ToImmutable();
    }
}
