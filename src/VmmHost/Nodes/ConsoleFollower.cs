using System.Net.Sockets;
using System.Text.Json;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Follows a VM's console wherever the VM is live: attaches at a position of the stream, and when the node is lost, halted or frozen, attaches again
/// where the VM is live then, at the position it has reached, so that each byte comes once and none is missing.
/// </summary>
internal sealed class ConsoleFollower(Func<IReadOnlyList<string>> sockets, string vm)
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(10);

    /// <summary>How long a node may be quiet before others are asked.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a node may take to answer; others wait behind it.</summary>
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);

    private volatile ControlLines? attached;
    private long quietSince;
    private volatile string? found;

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
            // A node that is known to have the VM comes before one that is frozen and does not answer.
            string? first = found;
            found = null;
            foreach (string socket in sockets().OrderBy(socket => socket != first))
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

    /// <summary>Follows one node until it is lost, or until the VM is live on another. False if the VM is not live there.</summary>
    private async Task<bool> TryFollowAsync(string socket, Action<byte[]> taken, CancellationToken cancelled)
    {
        if (await LiveGenerationAsync(socket, cancelled).ConfigureAwait(false) is not { } generation)
        {
            return false;
        }
        using var elsewhere = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
        Task watching = WatchOthersAsync(socket, generation, elsewhere);
        try
        {
            await using ControlLines lines = await ControlLines.ConnectAsync(socket, elsewhere.Token).ConfigureAwait(false);
            await lines.WriteAsync(new ControlRequest("console", vm, Offset: Position), elsewhere.Token).ConfigureAwait(false);
            if (await lines.ReadAsync<ControlAnswer>(elsewhere.Token).ConfigureAwait(false) is not { Error: null })
            {
                return false;
            }
            attached = lines;
            while (await lines.ReadAsync<ConsolePiece>(elsewhere.Token).ConfigureAwait(false) is { } piece)
            {
                Take(piece, taken);
            }
        }
        catch (Exception lost) when (lost is SocketException or IOException or JsonException || (lost is OperationCanceledException && !cancelled.IsCancellationRequested))
        {
            // The node is gone, perhaps within a line: what was not taken comes again.
        }
        finally
        {
            attached = null;
            await elsewhere.CancelAsync().ConfigureAwait(false);
            await watching.ConfigureAwait(false);
        }
        return true;
    }

    private void Take(ConsolePiece piece, Action<byte[]> taken)
    {
        Volatile.Write(ref quietSince, Environment.TickCount64);
        if (piece.Offset > Position)
        {
            LostBytes += piece.Offset - Position;
            Position = piece.Offset;
        }
        taken(piece.Data[(int)(Position - piece.Offset)..]);
        Position = piece.Offset + (ulong)piece.Data.Length;
    }

    /// <summary>A frozen node neither speaks nor closes. While it is quiet, others are asked whether the VM is theirs, by a later generation.</summary>
    private async Task WatchOthersAsync(string socket, ulong generation, CancellationTokenSource elsewhere)
    {
        Volatile.Write(ref quietSince, Environment.TickCount64);
        try
        {
            while (true)
            {
                await Task.Delay(Look, elsewhere.Token).ConfigureAwait(false);
                if (Environment.TickCount64 - Volatile.Read(ref quietSince) < Look.TotalMilliseconds)
                {
                    continue;
                }
                foreach (string other in sockets().Where(other => other != socket))
                {
                    if (await LiveGenerationAsync(other, elsewhere.Token).ConfigureAwait(false) > generation)
                    {
                        found = other;
                        await elsewhere.CancelAsync().ConfigureAwait(false);
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It is lost, or found elsewhere.
        }
    }

    /// <summary>The generation that is live on a node; null if none is.</summary>
    private async Task<ulong?> LiveGenerationAsync(string node, CancellationToken cancelled) =>
        (await ControlClient.ListAsync([node], cancelled, AnswerPatience).ConfigureAwait(false)).Where(line => line.Vm == vm && ControlClient.IsLive(line)).Max(line => (ulong?)line.Generation);
}
