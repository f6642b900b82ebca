namespace FtAkka.DeterministicSim.Network;

/// <summary>How one direction between two hosts treats frames.</summary>
/// <param name="DelayLeast">Shortest time under way.</param>
/// <param name="DelayMost">Longest time under way.</param>
/// <param name="LossPerMillion">Messages lost.</param>
/// <param name="DuplicationPerMillion">Messages that arrive twice.</param>
/// <param name="Reorder">False: frames of one connection overtake each other never, as over TCP. True: messages take their own time.</param>
/// <remarks>
/// Loss, duplication and reordering are beyond what TCP does: they strike single messages, which the log channel must survive, and never the
/// units by which Akka's endpoints agree with each other (handshake, heartbeat, farewell).
/// </remarks>
public sealed record LinkQuality(
    TimeSpan DelayLeast, TimeSpan DelayMost, int LossPerMillion = 0, int DuplicationPerMillion = 0, bool Reorder = false)
{
    /// <summary>Frames that are changed on their way, which ends the connection: they and what is under way behind them are lost.</summary>
    public int CorruptionPerMillion { get; init; }

    /// <summary>Frames whose time under way has a long tail: each doubling beyond <see cref="DelayMost"/> is half as likely as the one before.</summary>
    public int TailPerMillion { get; init; }

    /// <summary>Longest time under way of a frame in the tail.</summary>
    public TimeSpan TailMost { get; init; }

    /// <summary>A local network: 0.1 to 1 millisecond, nothing lost.</summary>
    public static LinkQuality Lan { get; } = new(TimeSpan.FromMicroseconds(100), TimeSpan.FromMilliseconds(1));
}
