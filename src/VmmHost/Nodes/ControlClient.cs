using System.Net.Sockets;
using System.Text.Json;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>The command line's way to the nodes on this host.</summary>
internal static class ControlClient
{
    /// <summary>A node that does not answer for so long is frozen, as its host may be. Long enough for a first request from a new process on a loaded host.</summary>
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(10);

    /// <summary>Control sockets of all nodes of this user.</summary>
    public static IReadOnlyList<string> Sockets() =>
        Directory.Exists(NodeSettings.SocketFolder) ? [.. Directory.GetFiles(NodeSettings.SocketFolder, "*.sock").Order(StringComparer.Ordinal)] : [];

    /// <summary>Asks one node.</summary>
    /// <exception cref="CommandFailedException">It cannot be reached, or refused.</exception>
    public static async Task<ControlAnswer> AskAsync(string socket, ControlRequest request, CancellationToken cancelled)
    {
        try
        {
            await using ControlLines lines = await ControlLines.ConnectAsync(socket, cancelled).ConfigureAwait(false);
            await lines.WriteAsync(request, cancelled).ConfigureAwait(false);
            ControlAnswer answer = await lines.ReadAsync<ControlAnswer>(cancelled).ConfigureAwait(false)
                ?? throw new CommandFailedException($"The node at {socket} closed the connection.");
            return answer.Error is null ? answer : throw new CommandFailedException(answer.Error);
        }
        catch (Exception lost) when (lost is SocketException or IOException or JsonException)
        {
            throw new CommandFailedException($"The node at {socket} does not answer: {lost.Message}. Is it running (ftakka host)?", lost);
        }
    }

    /// <summary>The replicas on all nodes of this host; nodes that do not answer are left out.</summary>
    /// <param name="sockets">Whom to ask.</param>
    /// <param name="cancelled">Ends the asking.</param>
    /// <param name="answerPatience">How long each may take; some seconds if not given.</param>
    /// <param name="noticed">Told what nodes have to say beside their replicas.</param>
    public static async Task<List<ReplicaStatusLine>> ListAsync(
        IEnumerable<string> sockets, CancellationToken cancelled, TimeSpan? answerPatience = null, Action<string>? noticed = null)
    {
        var lines = new List<ReplicaStatusLine>();
        foreach (string socket in sockets)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
            patience.CancelAfter(answerPatience ?? AnswerPatience);
            try
            {
                ControlAnswer answer = await AskAsync(socket, new ControlRequest("list"), patience.Token).ConfigureAwait(false);
                lines.AddRange(answer.Replicas ?? []);
                if (answer.Notice is { } notice)
                {
                    noticed?.Invoke($"{answer.Node}: {notice}");
                }
            }
            catch (Exception silent) when (silent is CommandFailedException || (silent is OperationCanceledException && !cancelled.IsCancellationRequested))
            {
                // A socket that a killed node left behind, or one whose node is frozen.
            }
        }
        return lines;
    }

    /// <summary>The node on this host on which a VM is live.</summary>
    /// <exception cref="CommandFailedException">There is none.</exception>
    public static async Task<string> FindLiveAsync(IReadOnlyList<string> sockets, string vm, CancellationToken cancelled)
    {
        foreach (string socket in sockets)
        {
            List<ReplicaStatusLine> lines = await ListAsync([socket], cancelled).ConfigureAwait(false);
            if (lines.Exists(line => line.Vm == vm && IsLive(line)))
            {
                return socket;
            }
        }
        throw new CommandFailedException($"The VM {vm} is not live on any node of this host ({sockets.Count} control sockets in {NodeSettings.SocketFolder}).");
    }

    /// <summary>Whether a replica runs its VM for the outside.</summary>
    public static bool IsLive(ReplicaStatusLine line) => line.Role is "solo" or "cloningPrimary" or "protectedPrimary";
}
