namespace FtAkka.Nodes;

/// <summary>What a network card can be connected to.</summary>
public enum NicTarget
{
    /// <summary>Nothing: frames are dropped.</summary>
    None,

    /// <summary>A TAP interface of the host.</summary>
    Tap,

    /// <summary>A unix stream socket with QEMU's framing, as passt offers.</summary>
    Unix,
}
