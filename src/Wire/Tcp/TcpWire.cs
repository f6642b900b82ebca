using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Event;

namespace FtAkka.Wire.Tcp;

/// <summary>
/// The wire over TCP, with mutual TLS unless it is switched off. One connection for each direction between two systems, opened by
/// the side that sends; each belongs to one pair of incarnations and dies with either. See docs/wire.md.
/// </summary>
public sealed class TcpWire : IWire, IDisposable
{
    private const int MaximumPeers = 1024;
    private const int LogLinesPerWindow = 20;
    private static readonly TimeSpan LogWindow = TimeSpan.FromSeconds(10);

    private readonly WireContext _context;
    private readonly ConcurrentDictionary<Address, OutboundPeer> _outbound = new();
    private readonly PeerIncarnations _incarnations = new(MaximumPeers);
    private readonly Lock _gate = new();
    private readonly HashSet<InboundPeer> _connections = [];
    private readonly Dictionary<Address, InboundPeer> _inbound = [];
    private readonly Lock _logGate = new();
    private Socket? _listener;
    private Thread? _acceptor;
    private Address? _address;
    private volatile bool _stopping;
    private long _logWindowStart;
    private int _logLines;

    /// <summary>Makes the wire; nothing is bound before <see cref="Start"/>.</summary>
    /// <exception cref="Akka.Configuration.ConfigurationException">TLS is on and certificate or authority are unusable.</exception>
    public TcpWire(WireContext context)
    {
        _context = context ?? throw new ArgumentNullException(nameof(context));
        Tls = context.Settings.Tls is { } tls ? new TlsIdentity(tls, context.Settings.NodeName) : null;
    }

    /// <summary>The port listened on; the one in the address differs where <c>public-port</c> is set. Valid after Start.</summary>
    public int BoundPort { get; private set; }

    internal WireSettings Settings => _context.Settings;

    internal TlsIdentity? Tls { get; }

    internal IWireReceiver Receiver { get; private set; } = null!;

    private string Protocol => Tls is null ? "akka.tcp" : "akka.ssl.tcp";

    /// <inheritdoc/>
    public Address Start(IWireReceiver receiver)
    {
        Receiver = receiver;
        var bindTo = WireSettings.IsWildcard(Settings.Hostname)
            ? IPAddress.Any
            : IPAddress.TryParse(Settings.Hostname, out var literal)
                ? literal
                : Dns.GetHostAddresses(Settings.Hostname, AddressFamily.InterNetwork)[0];
        _listener = new Socket(bindTo.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
        {
            SendBufferSize = Settings.SendBufferBytes,
            ReceiveBufferSize = Settings.ReceiveBufferBytes,
        };
        _listener.Bind(new IPEndPoint(bindTo, Settings.Port));
        _listener.Listen(Settings.Backlog);
        BoundPort = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        var port = Settings.PublicPort != 0 ? Settings.PublicPort : BoundPort;
        _address = new Address(Protocol, _context.SystemName, Settings.PublicHostname, port);
        _acceptor = new Thread(Accept) { IsBackground = true, Name = $"wire listener {port}" };
        _acceptor.Start();
        return _address;
    }

    /// <inheritdoc/>
    public WireSendResult Send(Address destination, ReadOnlySpan<byte> envelope)
    {
        ArgumentNullException.ThrowIfNull(destination);
        if (_stopping)
        {
            return WireSendResult.Closed;
        }

        if (envelope.Length > Settings.MaximumFrameBytes)
        {
            return WireSendResult.TooLarge;
        }

        if (!_outbound.TryGetValue(destination, out var peer))
        {
            if (destination.Protocol != Protocol || destination.Port is null or <= 0 || string.IsNullOrEmpty(destination.Host))
            {
                return WireSendResult.Gated;   // no way leads there, now or later
            }

            lock (_gate)
            {
                if (_outbound.Count >= MaximumPeers || _stopping)
                {
                    return WireSendResult.Gated;
                }

                peer = _outbound.GetOrAdd(destination, static (address, wire) => new OutboundPeer(wire, address), this);
            }
        }

        return peer.Send(envelope);
    }

    /// <inheritdoc/>
    public Task StopAsync()
    {
        _stopping = true;
        return Task.Factory.StartNew(Stop, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _listener?.Dispose();
        Tls?.Dispose();
    }

    internal TcpFrame.Hello Hello(Address target) => new(
        _address!.System, _address.Host, _address.Port!.Value, Settings.Incarnation, Settings.NodeName,
        target.System, target.Host, target.Port!.Value);

    /// <summary>Judges the handshake of an accepted connection, and makes it the peer's only one.</summary>
    internal WireRefusal Admit(InboundPeer connection, in TcpFrame.Hello hello, SslStream? tls, out WirePeer? peer, out long newest)
    {
        peer = null;
        newest = 0;
        if (hello.TargetSystem != _address!.System || hello.TargetHost != _address.Host || hello.TargetPort != _address.Port)
        {
            return WireRefusal.WrongTarget;
        }

        if (tls is not null && !Tls!.Certifies(tls, hello.NodeName, hello.Host))
        {
            return WireRefusal.NameNotCertified;
        }

        var address = hello.Address(Protocol);
        if (!_incarnations.TryAdvance(address, hello.Incarnation, out newest))
        {
            return WireRefusal.StaleIncarnation;
        }

        ReportRestart(address, newest, hello.Incarnation);
        peer = new WirePeer(address, hello.Incarnation, hello.NodeName);
        InboundPeer? old;
        lock (_gate)
        {
            _inbound.TryGetValue(address, out old);
            _inbound[address] = connection;
        }

        // The old connection must have delivered its last frame before the new one delivers its first.
        old?.Close();
        old?.Join(Settings.ConnectionTimeout);
        Associated(peer, inbound: true);
        return WireRefusal.None;
    }

    /// <summary>Takes note of the incarnation that answered a handshake of ours; false if a newer one is known.</summary>
    internal bool TryAdvance(Address address, long incarnation)
    {
        if (!_incarnations.TryAdvance(address, incarnation, out var before))
        {
            return false;
        }

        ReportRestart(address, before, incarnation);
        return true;
    }

    internal void Associated(WirePeer peer, bool inbound)
    {
        _context.Log.Info("Connected {0} {1} (node {2}, incarnation {3})",
            inbound ? "from" : "to", peer.Address, peer.NodeName, peer.Incarnation);
        _context.Events.Publish(new WireEvents.Associated(peer, inbound));
    }

    internal void Disassociated(Address address, bool inbound, string reason, int droppedBytes, bool quiet)
    {
        var text = $"{(inbound ? "Connection from" : "Connection to")} {address} ended: {reason}"
            + (droppedBytes > 0 ? $" ({droppedBytes} queued bytes dropped)" : "");
        if (quiet)
        {
            _context.Log.Debug(text);
        }
        else
        {
            Warn(text);
        }

        _context.Events.Publish(new WireEvents.Disassociated(address, inbound, reason));
    }

    internal void Superseded(Address peer, long newestKnown)
    {
        _context.Log.Error("{0} knows a newer process (incarnation {1}) at this node's address {2}: this process is a leftover, "
            + "or the clock went back (then give akka's node a persistent incarnation).", peer, newestKnown, _address);
        _context.Events.Publish(new WireEvents.Superseded(peer, newestKnown));
    }

    internal void InboundEnded(InboundPeer connection, string reason, bool quiet)
    {
        lock (_gate)
        {
            _connections.Remove(connection);
            if (connection.Peer is { } known && _inbound.TryGetValue(known.Address, out var current) && current == connection)
            {
                _inbound.Remove(known.Address);
            }
        }

        if (connection.Peer is { } peer)
        {
            Disassociated(peer.Address, inbound: true, reason, droppedBytes: 0, quiet || _stopping);
        }
        else if (!_stopping)
        {
            Warn($"Closed a connection from {connection.Remote}: {reason}");
        }
    }

    private void ReportRestart(Address address, long before, long now)
    {
        if (before == 0 || before == now)
        {
            return;
        }

        _context.Log.Info("{0} was restarted: incarnation {1} is followed by {2}", address, before, now);
        _context.Events.Publish(new WireEvents.PeerRestarted(address, before, now));
        if (_outbound.TryGetValue(address, out var outbound))
        {
            outbound.PeerAdvanced(now);
        }
    }

    private void Accept()
    {
        while (!_stopping)
        {
            Socket socket;
            try
            {
                socket = _listener!.Accept();
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                if (_stopping || failure is ObjectDisposedException)
                {
                    return;
                }

                Warn($"Accepting a connection failed: {failure.Message}");
                Thread.Sleep(Settings.RetryGate);   // out of descriptors, say: nothing is won by trying at once
                continue;
            }

            Take(socket);
        }
    }

    private void Take(Socket socket)
    {
        InboundPeer connection;
        lock (_gate)
        {
            if (_stopping || _connections.Count >= Settings.MaximumConnections)
            {
                socket.Dispose();
                if (!_stopping)
                {
                    Warn("Closed a connection at once: maximum-connections is reached");
                }

                return;
            }

            connection = new InboundPeer(this, socket);
            _connections.Add(connection);
        }

        connection.Start();
    }

    private void Stop()
    {
        _listener?.Dispose();   // ends the accepting thread
        // All peers at once: one that does not answer must not use up the others' time.
        var stops = _outbound.Values
            .Select(peer => Task.Factory.StartNew(
                () => peer.Stop(Settings.ShutdownFlushTimeout), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))
            .ToArray();
        Task.WaitAll(stops);
        InboundPeer[] connections;
        lock (_gate)
        {
            connections = [.. _connections];
        }

        foreach (var connection in connections)
        {
            connection.SayGoodbye();
        }

        // The peers close when they have read it; who has not by then is cut off.
        var started = Stopwatch.GetTimestamp();
        foreach (var connection in connections)
        {
            var left = Settings.ShutdownFlushTimeout - Stopwatch.GetElapsedTime(started);
            connection.Join(left > TimeSpan.Zero ? left : TimeSpan.Zero);
            connection.Close();
        }

        foreach (var connection in connections)
        {
            connection.Join(Settings.ConnectionTimeout);
        }

        foreach (var peer in _outbound.Values)
        {
            peer.Dispose();
        }

        Dispose();
    }

    /// <summary>One line for each refused or broken connection, and a limit on lines, so that nobody can fill the log from outside.</summary>
    private void Warn(string text)
    {
        var suppressed = 0;
        lock (_logGate)
        {
            if (_logWindowStart == 0 || Stopwatch.GetElapsedTime(_logWindowStart) > LogWindow)
            {
                suppressed = Math.Max(0, _logLines - LogLinesPerWindow);
                _logWindowStart = Stopwatch.GetTimestamp();
                _logLines = 0;
            }

            if (++_logLines > LogLinesPerWindow)
            {
                return;
            }
        }

        _context.Log.Warning(suppressed == 0 ? text : $"{text} ({suppressed} similar lines before it were left out)");
    }
}
