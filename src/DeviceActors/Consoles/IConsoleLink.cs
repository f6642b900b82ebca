using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>What came from a console's other end.</summary>
/// <param name="Bytes">Typed bytes; may be empty if only the peer came or went.</param>
/// <param name="Connected">Whether somebody takes output now.</param>
public sealed record ConsoleLinkInput(ImmutableArray<byte> Bytes, bool Connected);

/// <summary>Where a console's bytes go and come from. One receive and one send at a time.</summary>
public interface IConsoleLink : IDisposable
{
    /// <summary>Whether output can be sent before anything was received, as to a file or a terminal.</summary>
    bool ConnectedAtStart { get; }

    /// <summary>
    /// Waits for input or for a peer to come or go. Never ends if there will be no input any more, as at the end of standard input.
    /// Cancelled by <see cref="IDisposable.Dispose"/>.
    /// </summary>
    Task<ConsoleLinkInput> ReceiveAsync();

    /// <summary>
    /// Sends output. True if all of it was taken; false if the peer is gone, in which case part may have arrived.
    /// </summary>
    /// <param name="offset">Position of the first byte in the console's output since power-on.</param>
    /// <param name="bytes">The output.</param>
    Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes);
}
