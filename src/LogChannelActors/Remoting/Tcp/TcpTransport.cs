using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote.Transport;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// Carries Akka.Remote over TCP with mutual TLS 1.3, or over plain TCP on loopback. Named by <c>akka.remote.ftakka-tcp.transport-class</c>;
/// its settings stand in <c>reference.hocon</c>, its bytes in docs/wire.md. Each connection has a thread that reads and hands over what
/// it reads; whoever sends writes on its own thread as long as the kernel takes it.
/// </summary>
public sealed class TcpTransport : Transport, IDisposable
{
    /// <summary>Ends the reason of a dial that failed at once, since the one before had failed less than <c>redial-after</c> ago.</summary>
    public const string NotTriedAgain = " (not tried again within redial-after)";

    private readonly LimitedLog _log;
    private readonly RevocationList? _revoked;
    private readonly TlsIdentity? _tls;
    private readonly DialGate _dialGate;
    private readonly TcpListenerSide _listener;
    private readonly TaskCompletionSource<IAssociationEventListener> _upstream = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, TcpAssociation> _associations = [];
    private readonly StuckConnections _stuck;
    private volatile bool _stopping;

    /// <summary>The constructor that Akka calls.</summary>
    /// <param name="system">The actor system.</param>
    /// <param name="config">The transport's section.</param>
    /// <exception cref="ConfigurationException">A setting, the certificate or the authority is unusable; the message says what to do.</exception>
    public TcpTransport(ActorSystem system, Config config)
    {
        ArgumentNullException.ThrowIfNull(system);
        ArgumentNullException.ThrowIfNull(config);
        System = system;
        Config = config;
        Settings = TcpSettings.Read(config);
        Rules = GuardRules.Read(config);
        Peers = RemotePeers.For(system);
        Budget = new SendBudget(Settings.SendQueueTotalBytes);
        _log = new LimitedLog(Logging.GetLogger(system, this));
        _revoked = Settings.Tls is { RevocationPath.Length: > 0 } listed ? new RevocationList(listed.RevocationPath, _log.Warn, EndRevoked) : null;
        _tls = Settings.Tls is { } tls ? new TlsIdentity(tls, Settings.PublicHostname, _log.Warn, _revoked) : null;
        _dialGate = new DialGate(Settings.RedialAfter);
        _listener = new TcpListenerSide(Settings, _log, Welcome);
        _stuck = new StuckConnections(Settings, Associations);
        SchemeIdentifier = "tcp";
        MaximumPayloadBytes = Settings.MaximumFrameBytes;
        WarnOfOwnWeakness();
    }

    /// <summary>The port listened on; the one in the address differs where <c>public-port</c> is set. Valid after Listen.</summary>
    public int BoundPort => _listener.Port;

    internal TcpSettings Settings { get; }

    internal GuardRules Rules { get; }

    internal RemotePeers Peers { get; }

    internal SendBudget Budget { get; }

    /// <summary>This system's address as peers know it. Valid after Listen.</summary>
    internal Address LocalAddress { get; private set; } = Address.AllSystems;

    /// <inheritdoc/>
    public override Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        try
        {
            _listener.Bind();
        }
        catch (SocketException failure)
        {
            return Task.FromException<(Address, TaskCompletionSource<IAssociationEventListener>)>(new ConfigurationException(
                $"{TcpSettings.Section}: cannot listen on '{Settings.Hostname}', port {Settings.Port}: {failure.Message}", failure));
        }

        LocalAddress = new Address(SchemeIdentifier, System.Name, Settings.PublicHostname, Settings.PublicPort != 0 ? Settings.PublicPort : BoundPort);
        _listener.Name = LocalAddress.ToString();
        if (_tls is not null && Rules.OwnerOf(LocalAddress.Host, LocalAddress.Port ?? 0) is { } owner && owner != _tls.OwnNode)
        {
            return Task.FromException<(Address, TaskCompletionSource<IAssociationEventListener>)>(new ConfigurationException(
                $"{TcpSettings.Section}.ssl.certificate.path: the certificate is of the node '{_tls.OwnNode}' and does not carry the node name '{owner}', "
                + $"which owns {LocalAddress.Host}:{LocalAddress.Port}. Give each node its own certificate."));
        }

        _listener.Start();
        return Task.FromResult((LocalAddress, _upstream));
    }

    /// <inheritdoc/>
    public override bool IsResponsibleFor(Address remote) => true;

    /// <inheritdoc/>
    public override Task<AssociationHandle> Associate(Address remoteAddress)
    {
        ArgumentNullException.ThrowIfNull(remoteAddress);
        if (CannotDial(remoteAddress) is { } reason)
        {
            return Task.FromException<AssociationHandle>(Unreachable(remoteAddress, reason));
        }

        // Its continuations are Akka's own and run on the connection's thread.
        var associated = new TaskCompletionSource<AssociationHandle>();
        new Thread(() => DialAndServe(remoteAddress, associated)) { IsBackground = true, Name = $"tcp to {remoteAddress.Host}:{remoteAddress.Port}" }.Start();
        return associated.Task;
    }

    /// <inheritdoc/>
    public override Task<bool> Shutdown() =>
        Task.Factory.StartNew(Stop, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _listener.Dispose();
        _stuck.Dispose();
        _tls?.Dispose();
        _revoked?.Dispose();
    }

    /// <summary>Connects, runs TLS, and greets.</summary>
    /// <exception cref="IOException">It did not work; the message is for the log.</exception>
    internal TcpConnection Dial(Address address, Lane lane, Guid token)
    {
        var dial = new TcpDial(Settings, address.Host, address.Port!.Value);
        return dial.Run(_tls, lane, token, lane == Lane.Main ? _stuck.Take(address) : null);
    }

    /// <summary>Ends every association with a peer.</summary>
    internal void EndAllWith(Address origin, string reason)
    {
        foreach (var association in Associations())
        {
            if (origin.Equals(association.Origin))
            {
                association.End(reason);
            }
        }
    }

    /// <summary>Nobody keeps a connection by a certificate that is on the list. Looked at after each look at the list, since a handshake may have ended meanwhile.</summary>
    private void EndRevoked(bool changed)
    {
        foreach (var association in Associations())
        {
            if (_revoked!.Has(association.Main.Certificate))
            {
                association.End($"it is refused: its certificate {TlsIdentity.Revoked}");
            }
        }

        if (changed)
        {
            WarnOfOwnWeakness();
        }
    }

    private void WarnOfOwnWeakness()
    {
        if (_tls?.OwnWeakness is { } weakness)
        {
            _log.Warn($"Peers will refuse this node: {weakness}");
        }
    }

    /// <summary>An association is over.</summary>
    /// <param name="association">Which.</param>
    /// <param name="reason">One line for the log.</param>
    /// <param name="quiet">It ended in good order.</param>
    internal void Ended(TcpAssociation association, string reason, bool quiet)
    {
        lock (_gate)
        {
            _associations.Remove(association.Token);
        }

        if (!quiet && !_stopping)
        {
            var text = $"{LocalAddress} lost the connection with {association.Name}: {reason}";
            if (!association.IsIdentified || reason.Contains("refused", StringComparison.Ordinal))
            {
                _log.Warn(text);
            }
            else
            {
                _log.Info(text);
            }
        }
    }

    private string? CannotDial(Address remote) =>
        _stopping ? "this system stops"
        : remote.Port is null or <= 0 || string.IsNullOrEmpty(remote.Host) ? "the address has no host or port"
        : _tls is null && !TcpSettings.IsLoopback(remote.Host)
            ? $"enable-ssl = off is for loopback addresses only, and '{remote.Host}' is none; set enable-ssl = on on both nodes"
        : _dialGate.Closed(remote) is { } recent ? recent + NotTriedAgain
        : null;

    private InvalidAssociationException Unreachable(Address remote, string reason) => new($"{LocalAddress} cannot reach {remote}: {reason}");

    private void DialAndServe(Address remote, TaskCompletionSource<AssociationHandle> associated)
    {
        TcpAssociation association;
        try
        {
            var token = Greeting.NewToken();
            var connection = Dial(remote, Lane.Main, token);
            association = new TcpAssociation(this, connection, remote, remote, token);
            _dialGate.Reached(remote);
        }
#pragma warning disable CA1031 // See ConnectionFailure.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            string reason = ConnectionFailure.Describe(failure);
            _dialGate.Failed(remote, reason);
            associated.SetException(Unreachable(remote, reason));
            return;
        }

        if (!TryAdd(association))
        {
            association.End("this system stops");
            associated.SetException(Unreachable(remote, "this system stops"));
            association.Main.Dispose();
            return;
        }

        associated.SetResult(association);
        association.Serve();
    }

    private bool TryAdd(TcpAssociation association)
    {
        lock (_gate)
        {
            return !_stopping && _associations.TryAdd(association.Token, association);
        }
    }

    /// <summary>Runs one accepted connection, on its own thread, to its end.</summary>
    private void Welcome(TcpConnection connection, AcceptedSlot slot)
    {
        connection.Authenticate(_tls, dialledHost: null);
        Span<byte> greeting = stackalloc byte[Greeting.Bytes];
        if (!connection.Reader.TryReadExactly(greeting) || !Greeting.TryRead(greeting, out var lane, out var token, out var cluster))
        {
            throw new IOException("it does not speak this transport's protocol");
        }

        if (cluster != Greeting.MarkOf(Settings.Cluster))
        {
            connection.WriteNow(Greeting.WriteAnswer(Verdict.OtherCluster));
            throw new IOException(TcpDial.OtherCluster);
        }

        if (!slot.TryName(connection.Peer?.Node))
        {
            connection.WriteNow(Greeting.WriteAnswer(Verdict.TooManyConnections));
            throw new IOException($"maximum-connections-per-node is reached by {connection.Peer?.Node}");
        }

        if (lane == Lane.Bulk)
        {
            WelcomeBulk(connection, token, slot);
            return;
        }

        var remote = new Address(SchemeIdentifier, System.Name, connection.Remote.Address.ToString(), connection.Remote.Port);
        if (!_upstream.Task.Wait(Settings.ConnectionTimeout) || _stopping)
        {
            connection.WriteNow(Greeting.WriteAnswer(Verdict.Stopping));
            throw new IOException("this system starts or stops");
        }

        connection.WriteNow(Greeting.WriteAnswer(Verdict.Welcome));
        var association = new TcpAssociation(this, connection, remote, dialled: null, token) { Identified = slot.Settle };
        if (!TryAdd(association))
        {
            association.End("its token is in use");
            throw new IOException("its token is in use");
        }

        _upstream.Task.Result.Notify(new InboundAssociation(association));
        association.Serve();
    }

    private void WelcomeBulk(TcpConnection connection, Guid token, AcceptedSlot slot)
    {
        TcpAssociation? association;
        lock (_gate)
        {
            _associations.TryGetValue(token, out association);
        }

        if (association is null || !association.TryTakeBulk(connection))
        {
            connection.WriteNow(Greeting.WriteAnswer(Verdict.UnknownAssociation));
            throw new IOException("its second connection belongs to no association of this node");
        }

        connection.WriteNow(Greeting.WriteAnswer(Verdict.Welcome));
        slot.Settle();
        association.ServeBulk(connection);
    }

    private bool Stop()
    {
        _stopping = true;
        _listener.Dispose();
        var associations = Associations();
        foreach (var association in associations)
        {
            association.Disassociate("this system stops", Logging.GetLogger(System, this));
        }

        // Each ends by itself, when the peer has closed its end or by its own time limit.
        SpinWait.SpinUntil(IsEmpty, Settings.ShutdownFlushTimeout + TimeSpan.FromSeconds(1));
        foreach (var association in associations)
        {
            association.End("this system stops");
        }

        Dispose();
        return true;
    }

    private TcpAssociation[] Associations()
    {
        lock (_gate)
        {
            return [.. _associations.Values];
        }
    }

    private bool IsEmpty()
    {
        lock (_gate)
        {
            return _associations.Count == 0;
        }
    }
}
