using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Machines;

/// <summary>
/// Typed bytes that the guest has no room for yet. Whoever types waits for the receipt of one piece before it sends the next, which bounds
/// what is held.
/// </summary>
internal sealed class HeldConsoleInput
{
    private readonly LinkedList<(ConsoleInput Input, Action? Receipt)> pieces = new();

    public bool IsEmpty => pieces.Count == 0;

    public void Add(ConsoleInput input, Action? receipt) => pieces.AddLast((input, receipt));

    /// <summary>Takes the next piece, cut to the room there is in the serial port. The receipt comes with the end of what was added together.</summary>
    public bool TryTake(int serialRoomBytes, [NotNullWhen(true)] out ConsoleInput? piece, out Action? receipt)
    {
        (piece, receipt) = (null, null);
        if (pieces.First is not { Value: var first })
        {
            return false;
        }
        ImmutableArray<byte> bytes = first.Input.Bytes;
        // The virtio console holds input in the guest's own buffers and has no limit to ask for.
        int room = first.Input.Console == ConsoleKind.Serial ? serialRoomBytes : bytes.Length;
        if (room <= 0 && bytes.Length > 0)
        {
            return false;
        }
        pieces.RemoveFirst();
        if (bytes.Length <= room)
        {
            (piece, receipt) = first;
            return true;
        }
        piece = first.Input with { Bytes = bytes[..room] };
        pieces.AddFirst((first.Input with { Bytes = bytes[room..] }, first.Receipt));
        return true;
    }
}
