using FtAkka.Machine.Events;

namespace FtAkka.Actors.Machines;

/// <summary>
/// Console output that was sent to the consoles' actors and that they have not taken yet. A guest prints faster than any console takes, so that it
/// has to wait for them, or the rest would pile up in their mailboxes. Pure.
/// </summary>
internal sealed class ConsoleBacklog
{
    /// <summary>At so many bytes the guest waits.</summary>
    public const ulong BytesMax = 4 << 20;

    private readonly ulong?[] taken = new ulong?[Enum.GetValues<ConsoleKind>().Length];
    private readonly ulong[] sent = new ulong[Enum.GetValues<ConsoleKind>().Length];

    /// <summary>Whether a console is that far behind.</summary>
    public bool IsFull
    {
        get
        {
            for (int console = 0; console < sent.Length; console++)
            {
                if (taken[console] is { } position && sent[console] > position && sent[console] - position >= BytesMax)
                {
                    return true;
                }
            }
            return false;
        }
    }

    /// <summary>Output is on its way to its console.</summary>
    public void Sent(ConsoleOutput output)
    {
        // What came before the first that is seen here was taken by somebody else.
        taken[(int)output.Console] ??= output.StreamOffset;
        sent[(int)output.Console] = output.StreamOffset + (ulong)output.Bytes.Length;
    }

    /// <summary>The console has taken all before this position.</summary>
    public void Taken(ConsoleKind console, ulong position) => taken[(int)console] = position;
}
