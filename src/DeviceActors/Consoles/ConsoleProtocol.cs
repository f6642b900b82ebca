using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>Messages of <see cref="ConsoleActor"/>.</summary>
public static class ConsoleProtocol
{
    /// <summary>
    /// Machine or replica to console: output that may appear now. Sending bytes again is harmless: each position appears once. Answered
    /// by <see cref="Written"/>.
    /// </summary>
    /// <param name="Offset">Position of the first byte in the console's output since power-on.</param>
    /// <param name="Bytes">The output.</param>
    public sealed record Write(ulong Offset, ImmutableArray<byte> Bytes);

    /// <summary>Console to the sender of <see cref="Write"/>: everything before this position was taken.</summary>
    public sealed record Written(ulong NextOffset);

    /// <summary>Machine or replica to console: the sender gets input from now on.</summary>
    public sealed record Attach;

    /// <summary>Console to the attached actor: typed bytes. The next come only after <see cref="InputMore"/>.</summary>
    /// <param name="Offset">Position of the first byte in the console's input since this console was started.</param>
    /// <param name="Bytes">What was typed.</param>
    public sealed record Input(ulong Offset, ImmutableArray<byte> Bytes);

    /// <summary>Attached actor to console: the last <see cref="Input"/> is worked off.</summary>
    public sealed record InputMore;

    /// <summary>Console to the attached actor: the user typed the leave command (<see cref="EscapeFilter"/>).</summary>
    public sealed record LeaveRequested;

    /// <summary>Console to the attached actor: no more input will come; output still works if the link allows.</summary>
    public sealed record InputFailed(string Reason);

    /// <summary>Anyone to console: tell me when nothing taken so far waits to be sent, or nobody is there to take it. Answered by <see cref="Drained"/>.</summary>
    public sealed record Drain;

    /// <summary>Console to the sender of <see cref="Drain"/>.</summary>
    public sealed record Drained;
}
