using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Nics;

/// <summary>What came from a link.</summary>
/// <param name="Frames">Ethernet frames in order; may be empty if only the peer came or went.</param>
/// <param name="Connected">Whether there is a peer now.</param>
public sealed record LinkInput(ImmutableArray<ImmutableArray<byte>> Frames, bool Connected);

/// <summary>
/// Something that carries Ethernet frames: TAP device, socket, nothing. One receive and one send at a time.
/// </summary>
public interface IFrameLink : IDisposable
{
    /// <summary>
    /// Whether the guest's cable is in as soon as the link is open. A link without a peer to wait for says so, lest a guest that goes live sees its
    /// cable drawn and put in again: Linux may take a second to notice the latter.
    /// </summary>
    bool ConnectedAtStart => false;

    /// <summary>
    /// Waits for frames, at least one unless the peer came or went, and returns all that are at hand up to
    /// <see cref="LinkLimits.FramesPerReceive"/>. A lost peer is waited for inside. Faults only if the link cannot work any more, and is
    /// cancelled by <see cref="IDisposable.Dispose"/>.
    /// </summary>
    Task<LinkInput> ReceiveAsync();

    /// <summary>
    /// Sends frames in order. Returns how many were sent; the rest was dropped, as Ethernet may (no peer, queue of the host full).
    /// </summary>
    Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames);
}

/// <summary>Limits of all links.</summary>
public static class LinkLimits
{
    /// <summary>Frames in one <see cref="LinkInput"/> at most.</summary>
    public const int FramesPerReceive = 64;

    /// <summary>Longest frame: 64 KiB of MTU and headers. A longer one ends a stream, since a stream cannot be resynchronized.</summary>
    public const int FrameBytesMax = 65535 + 64;
}
