namespace FtAkka.DeterministicSim.Network;

/// <summary>What happened to a frame, for a trace.</summary>
public enum FrameFate
{
    /// <summary>Handed to the receiver.</summary>
    Delivered,

    /// <summary>Lost by chance.</summary>
    Lost,

    /// <summary>Will arrive a second time.</summary>
    Duplicated,

    /// <summary>Stopped by a partition: lost, or delivered after it, by chance.</summary>
    Partitioned,

    /// <summary>Addressed to a process that is no longer there.</summary>
    OldIncarnation,

    /// <summary>Nobody listens at the address.</summary>
    NoListener,

    /// <summary>Refused by the receiver, which ends the connection.</summary>
    Refused,

    /// <summary>Changed under way: the connection ends with it.</summary>
    Corrupted,

    /// <summary>Overtook one sent before it.</summary>
    Overtook,

    /// <summary>Took longer than the link's ordinary time.</summary>
    Late,

    /// <summary>Arrived when the receiver had given up the connection, and was dropped.</summary>
    AfterEnd,
}

/// <summary>What happened between two processes, seen by the network or told by Akka's remoting.</summary>
public enum ConnectionEvent
{
    /// <summary>A dial reached the other process.</summary>
    Opened,

    /// <summary>A process learned that its connection had ended.</summary>
    Ended,

    /// <summary>A process opened a connection to one that still has an older one and has not learned of its end.</summary>
    OpenedFromOneSide,

    /// <summary>A dial was refused: nobody listens.</summary>
    DialRefused,

    /// <summary>A dial was given up: no answer.</summary>
    DialTimedOut,

    /// <summary>A dial failed at once, since one to the same address had just failed.</summary>
    Gated,

    /// <summary>Only one side was told that the connection had ended.</summary>
    ResetOnOneSide,

    /// <summary>A connection ended for silence.</summary>
    FellSilent,

    /// <summary>A connection ended since one that its process dialled to the same peer carried no message.</summary>
    Unused,

    /// <summary>A process began at an address at which another had been.</summary>
    Restarted,

    /// <summary>Remoting will not talk to that incarnation of a process again.</summary>
    Quarantined,
}

/// <summary>Told of everything that happens on a <see cref="SimulatedNetwork"/>.</summary>
public interface INetworkObserver
{
    /// <summary>Something happened to a frame from one host to another.</summary>
    void Frame(FrameFate fate, string from, string to, ReadOnlySpan<byte> frame);

    /// <summary>Something happened to connections between two hosts.</summary>
    void Connection(ConnectionEvent what, string from, string to);
}
