using System.Collections.Immutable;
using System.Net.Sockets;
using System.Text.Json;
using Akka.Actor;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Serves the control API of a node on a unix socket that only its owner may use.</summary>
internal sealed class ControlServer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly IActorRef node;
    private readonly string nodeName;
    private readonly string path;
    private readonly string diskDirectory;
    private readonly Func<string?> notice;
    private readonly Socket listener;
    private readonly CancellationTokenSource closed = new();

    /// <summary>Listens. A socket file on which nobody listens is replaced.</summary>
    /// <param name="path">Path of the socket; its folder is made, or looked at (<see cref="ControlFolder"/>).</param>
    /// <param name="nodeName">Name of the node.</param>
    /// <param name="node">Its actor.</param>
    /// <param name="diskDirectory">Its folder for disks that are not shared.</param>
    /// <param name="notice">What whoever asks for the replicas is told beside them; null: nothing.</param>
    /// <exception cref="CommandFailedException">Another process listens there, the path cannot be bound, or others may write to its folder.</exception>
    public ControlServer(string path, string nodeName, IActorRef node, string diskDirectory, Func<string?>? notice = null)
    {
        (this.path, this.nodeName, this.node, this.diskDirectory, this.notice) = (path, nodeName, node, diskDirectory, notice ?? (() => null));
        ControlFolder.Prepare(Path.GetDirectoryName(path)!);
        listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            RemoveStale(path);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
            listener.Listen(16);
        }
        catch (Exception refused) when (refused is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            listener.Dispose();
            throw new CommandFailedException($"Cannot listen for control on {path}: {refused.Message}", refused);
        }
        _ = AcceptAsync();
    }

    /// <summary>Stops serving.</summary>
    public void Dispose()
    {
        closed.Cancel();
        listener.Dispose();
        File.Delete(path);
    }

    private static void RemoveStale(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }
        throw new CommandFailedException($"A node listens for control on {path} already.");
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await listener.AcceptAsync(closed.Token).ConfigureAwait(false);
                _ = ServeAsync(client);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Closed.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        try
        {
            await using var lines = new ControlLines(client);
            while (await lines.ReadAsync<ControlRequest>(closed.Token).ConfigureAwait(false) is { } request)
            {
                object answer = await AnswerAsync(request).ConfigureAwait(false);
                if (answer is VmConsole console)
                {
                    await lines.WriteAsync(new ControlAnswer(Node: nodeName), closed.Token).ConfigureAwait(false);
                    await ServeConsoleAsync(lines, console, request.Offset).ConfigureAwait(false);
                    return;
                }
                await lines.WriteAsync((ControlAnswer)answer, closed.Token).ConfigureAwait(false);
            }
        }
        catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException or ObjectDisposedException or JsonException)
        {
            // The client is gone, or speaks something else: its connection ends.
        }
    }

    private async Task<object> AnswerAsync(ControlRequest request)
    {
        try
        {
            return await AskNodeAsync(request).ConfigureAwait(false);
        }
        catch (CommandFailedException refused)
        {
            return new ControlAnswer(Error: refused.Message, Node: nodeName);
        }
    }

    private async Task<object> AskNodeAsync(ControlRequest request)
    {
        object? message = request switch
        {
            { Op: "list" } => new NodeProtocol.List(),
            { Op: "start", File: { } file } => VmStart.Read(file, request.Node, request.TakeOver, diskDirectory, request.AcceptOldDisk),
            { Op: "protect", Vm: { } vm, Node: { } backup } => new NodeProtocol.Protect(vm, backup),
            { Op: "unprotect", Vm: { } vm } => new NodeProtocol.Unprotect(vm),
            { Op: "failover", Vm: { } vm } => new NodeProtocol.Failover(vm),
            { Op: "stop", Vm: { } vm } => new NodeProtocol.Operate(vm, ControlOperation.PowerOff),
            { Op: "reset", Vm: { } vm } => new NodeProtocol.Operate(vm, ControlOperation.Reset),
            { Op: "nmi", Vm: { } vm } => new NodeProtocol.Operate(vm, ControlOperation.Nmi),
            { Op: "console", Vm: { } vm } => new NodeProtocol.Attach(vm),
            _ => null,
        };
        if (message is null)
        {
            return new ControlAnswer(Error: $"The node {nodeName} does not understand the request '{request.Op}'.", Node: nodeName);
        }
        using var patience = new CancellationTokenSource(Patience);
        object answered = await node.Ask<object>(message, patience.Token).ConfigureAwait(false);
        return answered switch
        {
            NodeProtocol.Done done => new ControlAnswer(Text: done.Text, Node: nodeName, Vm: (message as NodeProtocol.Start)?.Profile.Name),
            NodeProtocol.Refused refused => new ControlAnswer(Error: refused.Why, Node: nodeName),
            NodeProtocol.Replicas replicas => new ControlAnswer(Node: nodeName, Replicas: [.. replicas.Lines.Select(ReplicaStatusLine.Of)], Notice: notice()),
            NodeProtocol.Attached attached => attached.Console,
            var other => throw new InvalidOperationException($"The node answered {other}."),
        };
    }

    private async Task ServeConsoleAsync(ControlLines lines, VmConsole console, ulong from)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(closed.Token);
        Task typing = TakeInputAsync(lines, console, ended);
        try
        {
            while (true)
            {
                (ulong offset, ImmutableArray<byte> bytes) = await console.ReadAsync(from, ended.Token).ConfigureAwait(false);
                if (bytes.Length == 0)
                {
                    // The replica has ended: the client finds out where the VM is live now.
                    return;
                }
                await lines.WriteAsync(new ConsolePiece(offset, [.. bytes]), ended.Token).ConfigureAwait(false);
                from = offset + (ulong)bytes.Length;
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await typing.ConfigureAwait(false);
        }
    }

    private static async Task TakeInputAsync(ControlLines lines, VmConsole console, CancellationTokenSource ended)
    {
        try
        {
            while (await lines.ReadAsync<ConsolePiece>(ended.Token).ConfigureAwait(false) is { } typed)
            {
                await console.TypeAsync(ImmutableArray.Create(typed.Data), ended.Token).ConfigureAwait(false);
            }
        }
        catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException or ObjectDisposedException or JsonException)
        {
            // The client is gone.
        }
        await ended.CancelAsync().ConfigureAwait(false);
    }
}
