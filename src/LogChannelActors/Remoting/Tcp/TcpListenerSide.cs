using System.Net;
using System.Net.Sockets;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// Accepts connections, each on a thread of its own, within the limits for strangers. Of those that have not yet said who they are, the oldest
/// makes room for a new one: silent strangers then cannot shut members out.
/// </summary>
internal sealed class TcpListenerSide(TcpSettings settings, LimitedLog log, Action<TcpConnection, AcceptedSlot> serve) : IDisposable
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(100);
    private readonly Lock _gate = new();
    private readonly LinkedList<AcceptedSlot> _halfOpen = new();
    private readonly Dictionary<IPAddress, int> _byAddress = [];
    private readonly Dictionary<string, int> _byNode = [];
    private Socket? _socket;
    private int _count;
    private volatile bool _stopping;

    public int Port { get; private set; }

    /// <summary>What the log calls this side: the address by which peers know it.</summary>
    public string Name { get; set; } = "";

    /// <exception cref="SocketException">The address is not this host's, or the port is in use.</exception>
    public void Bind()
    {
        var address = TcpSettings.IsWildcard(settings.Hostname)
            ? (Socket.OSSupportsIPv6 && settings.Hostname == "::" ? IPAddress.IPv6Any : IPAddress.Any)
            : IPAddress.TryParse(settings.Hostname, out var literal) ? literal : Dns.GetHostAddresses(settings.Hostname)[0];
        _socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
        {
            SendBufferSize = settings.SendBufferBytes,
            ReceiveBufferSize = settings.ReceiveBufferBytes,
        };
        _socket.Bind(new IPEndPoint(address, settings.Port));
        _socket.Listen(settings.Backlog);
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
    }

    public void Start() => new Thread(Accept) { IsBackground = true, Name = $"tcp listener {Port}" }.Start();

    public void Dispose()
    {
        _stopping = true;
        _socket?.Dispose();
        lock (_gate)
        {
            foreach (var slot in _halfOpen)
            {
                slot.Cut("this system stops");
            }
        }
    }

    /// <summary>Counts the connection for its node; false if the node has as many as it may.</summary>
    internal bool TryName(AcceptedSlot slot, string node)
    {
        lock (_gate)
        {
            var count = _byNode.GetValueOrDefault(node);
            if (count >= settings.MaximumConnectionsPerNode)
            {
                return false;
            }

            _byNode[node] = count + 1;
            slot.Node = node;
            return true;
        }
    }

    /// <summary>The peer has said who it is.</summary>
    internal void Settle(AcceptedSlot slot)
    {
        lock (_gate)
        {
            RemoveHalfOpen(slot);
        }
    }

    private void Accept()
    {
        while (!_stopping)
        {
            try
            {
                Take(_socket!.Accept());
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException or OutOfMemoryException or ThreadStartException)
            {
                if (_stopping || failure is ObjectDisposedException)
                {
                    return;
                }

                log.Warn($"{Name} failed to accept a connection: {failure.Message}");
                Thread.Sleep(PauseAfterFailure);   // out of descriptors, say: nothing is won by trying at once
            }
        }
    }

    private void Take(Socket socket)
    {
        AcceptedSlot slot;
        if (socket.RemoteEndPoint is not IPEndPoint remote)
        {
            socket.Dispose();
            return;
        }

        lock (_gate)
        {
            var fromThere = _byAddress.GetValueOrDefault(remote.Address);
            var limit = _count >= settings.MaximumConnections ? "maximum-connections"
                : fromThere >= settings.MaximumConnectionsPerAddress ? "maximum-connections-per-address" : null;
            // A stranger who waits makes room, whichever limit is reached.
            if ((limit is not null || _halfOpen.Count >= settings.MaximumHalfOpen) && _halfOpen.First is { } oldest)
            {
                oldest.Value.Cut("it made room for a newer connection before it had said who it is");
                RemoveHalfOpen(oldest.Value);
            }

            if (limit is not null)
            {
                socket.Dispose();
                log.Warn($"{Name} closed a connection from {remote} at once: {limit} is reached");
                return;
            }

            slot = new AcceptedSlot(this, remote, socket);
            slot.Place = _halfOpen.AddLast(slot);
            _byAddress[remote.Address] = fromThere + 1;
            _count++;
        }

        new Thread(() => Run(slot)) { IsBackground = true, Name = $"tcp from {remote}" }.Start();
    }

    private void Run(AcceptedSlot slot)
    {
        try
        {
            using var limit = new Timer(
                static state => ((AcceptedSlot)state!).CutIfHalfOpen("it had not said who it is within connection-timeout"),
                slot, settings.ConnectionTimeout, Timeout.InfiniteTimeSpan);
            using var connection = new TcpConnection(slot.Socket, settings, settings.Tls is not null);
            slot.Connection = connection;
            serve(connection, slot);
        }
        // Everything below is the network's or the peer's doing and ends as one closed connection.
#pragma warning disable CA1031 // See ConnectionFailure.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (!_stopping)
            {
                log.Warn($"{Name} refused a connection from {slot.Remote}: {slot.CutReason ?? ConnectionFailure.Describe(failure)}");
            }
        }
        finally
        {
            slot.Socket.Dispose();
            Release(slot);
        }
    }

    private void Release(AcceptedSlot slot)
    {
        lock (_gate)
        {
            RemoveHalfOpen(slot);
            _count--;
            Decrement(_byAddress, slot.Remote.Address);
            if (slot.Node is { } node)
            {
                Decrement(_byNode, node);
            }
        }
    }

    private void RemoveHalfOpen(AcceptedSlot slot)
    {
        if (slot.Place is { } place)
        {
            _halfOpen.Remove(place);
            slot.Place = null;
        }
    }

    private static void Decrement<TKey>(Dictionary<TKey, int> counts, TKey key)
        where TKey : notnull
    {
        if (--counts[key] == 0)
        {
            counts.Remove(key);
        }
    }
}

/// <summary>An accepted connection's place in the limits.</summary>
internal sealed class AcceptedSlot(TcpListenerSide listener, IPEndPoint remote, Socket socket)
{
    private volatile bool _settled;

    public IPEndPoint Remote { get; } = remote;

    public Socket Socket { get; } = socket;

    public string? CutReason { get; private set; }

    /// <summary>Set as soon as there is one.</summary>
    public TcpConnection? Connection { get; set; }

    /// <summary>Its place among the strangers; guarded by the listener.</summary>
    public LinkedListNode<AcceptedSlot>? Place { get; set; }

    /// <summary>The node it is counted for; guarded by the listener.</summary>
    public string? Node { get; set; }

    /// <summary>Counts the connection for its node, if that is known; false if there are too many.</summary>
    public bool TryName(string? node) => node is null || listener.TryName(this, node);

    /// <summary>The peer has said who it is.</summary>
    public void Settle()
    {
        _settled = true;
        listener.Settle(this);
    }

    public void CutIfHalfOpen(string reason)
    {
        if (!_settled)
        {
            Cut(reason);
        }
    }

    public void Cut(string reason)
    {
        CutReason ??= reason;
        Connection?.Cut(reason);
        try
        {
            Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // Gone already.
        }
    }
}
