using System.Net.Sockets;
using System.Text.Json;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Follows a VM's console wherever the VM is live: attaches at a position of the stream, and when the node is lost, attaches again at the
/// position it has reached, so that each byte comes once and none is missing.
/// </summary>
internal sealed class ConsoleFollower(Func<IReadOnlyList<string>> sockets, string vm)
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(10);

    private volatile ControlLines? attached;

    /// <summary>Position of the next byte.</summary>
    public ulong Position { get; private set; }

    /// <summary>Bytes that no node had any more.</summary>
    public ulong LostBytes { get; private set; }

    /// <summary>Follows until cancelled, or until the VM is on no node any more.</summary>
    /// <param name="taken">Given the bytes, in order.</param>
    /// <param name="patience">How long the VM may be live nowhere.</param>
    /// <param name="cancelled">Ends the following.</param>
    public async Task FollowAsync(Action<byte[]> taken, TimeSpan patience, CancellationToken cancelled)
    {
        DateTime seen = DateTime.UtcNow;
        while (DateTime.UtcNow - seen < patience)
        {
            foreach (string socket in sockets())
            {
                if (await TryFollowAsync(socket, taken, cancelled).ConfigureAwait(false))
                {
                    seen = DateTime.UtcNow;
                }
            }
            await Task.Delay(Retry, cancelled).ConfigureAwait(false);
        }
    }

    /// <summary>Types. What is typed while the VM is live nowhere is lost.</summary>
    public async Task TypeAsync(byte[] bytes, CancellationToken cancelled)
    {
        if (attached is { } lines)
        {
            await lines.WriteAsync(new ConsolePiece(0, bytes), cancelled).ConfigureAwait(false);
        }
    }

    /// <summary>Follows one node until it is lost. False if the VM is not live there.</summary>
    private async Task<bool> TryFollowAsync(string socket, Action<byte[]> taken, CancellationToken cancelled)
    {
        bool found = false;
        try
        {
            await using ControlLines lines = await ControlLines.ConnectAsync(socket, cancelled).ConfigureAwait(false);
            await lines.WriteAsync(new ControlRequest("console", vm, Offset: Position), cancelled).ConfigureAwait(false);
            if (await lines.ReadAsync<ControlAnswer>(cancelled).ConfigureAwait(false) is not { Error: null })
            {
                return false;
            }
            found = true;
            attached = lines;
            while (await lines.ReadAsync<ConsolePiece>(cancelled).ConfigureAwait(false) is { } piece)
            {
                if (piece.Offset > Position)
                {
                    LostBytes += piece.Offset - Position;
                    Position = piece.Offset;
                }
                taken(piece.Data[(int)(Position - piece.Offset)..]);
                Position = piece.Offset + (ulong)piece.Data.Length;
            }
        }
        catch (Exception lost) when (lost is SocketException or IOException or JsonException)
        {
            // The node is gone, perhaps within a line: what was not taken comes again.
        }
        finally
        {
            attached = null;
        }
        return found;
    }
}
