using Akka.Actor;
using Akka.Remote.Transport;
using Google.Protobuf;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// An association: one connection, and a second one for bulk messages when there are any. Each has a queue of its own; if either breaks,
/// the association ends.
/// </summary>
#pragma warning disable CA1001 // Akka disposes no handle; the timer is disposed of when the association ends.
internal sealed class TcpAssociation : AssociationHandle
#pragma warning restore CA1001
{
    private readonly TcpTransport _transport;
    private readonly TcpSettings _settings;
    private readonly TcpConnection _main;
    private readonly PduGuard _guard;
    private readonly InboundScope _scope = new();
    private readonly SendQueue _mainQueue;
    private readonly SendQueue _bulkQueue;
    private readonly Lock _gate = new();
    private TcpConnection? _bulk;
    private Timer? _linger;
    private Timer? _unused;
    private int _bulkAsked;
    private bool _identified;
    private int _replacing;
    private volatile bool _carriedMessage;
    private volatile bool _closing;
    private volatile bool _ended;

    /// <param name="transport">The transport.</param>
    /// <param name="main">The connection, after its greeting.</param>
    /// <param name="remote">The address dialled, or the far end of an accepted socket.</param>
    /// <param name="dialled">The address dialled, or null for an accepted connection.</param>
    /// <param name="token">Binds the second connection to the first.</param>
    public TcpAssociation(TcpTransport transport, TcpConnection main, Address remote, Address? dialled, Guid token)
        : base(transport.LocalAddress, remote)
    {
        _transport = transport;
        _settings = transport.Settings;
        _main = main;
        Dialled = dialled;
        Token = token;
        _guard = new PduGuard(transport.Rules, main.Peer, transport.LocalAddress, dialled);
        _mainQueue = new SendQueue(_settings.SendQueueBytes, transport.Budget) { Broken = reason => main.Cut(reason) };
        _bulkQueue = new SendQueue(_settings.SendQueueBytes, transport.Budget) { Broken = reason => _bulk?.Cut(reason) };
        Attach(main, _mainQueue);
    }

    public Guid Token { get; }

    public TcpConnection Main => _main;

    /// <summary>What the log calls it: who it is with, as far as that is known.</summary>
    public string Name => Dialled?.ToString() ?? (_guard.Origin is { } origin ? $"{origin} at {_main.Remote}" : _main.Remote.ToString());

    /// <summary>True once the peer has said who it is, and was believed.</summary>
    public bool IsIdentified => _identified;

    /// <summary>The address that this side has dialled; null where the peer has dialled.</summary>
    public Address? Dialled { get; }

    /// <summary>Who the peer is, by its handshake; null until that has been believed.</summary>
    public Address? Origin => _identified ? _guard.Origin : null;

    /// <summary>Whether it stands, and the network has not acknowledged what was sent for a while.</summary>
    public bool IsStuck => !_ended && !_closing && _main.Channel.Retransmissions > 0;

    /// <summary>Set on the accepting side until the peer has said who it is.</summary>
    public Action? Identified { get; set; }

    /// <inheritdoc/>
    public override bool Write(ByteString payload)
    {
        if (!_carriedMessage && !PduPeek.IsControl(payload.Span))
        {
            _carriedMessage = true;
        }

        if (_settings.BulkMessages.Count > 0 && PduPeek.TryMessage(payload.Span, out var serializer, out var manifest)
            && _settings.IsBulk(serializer, manifest))
        {
            return WriteBulk(payload);
        }

        return _mainQueue.Write(payload);
    }

    /// <inheritdoc/>
#pragma warning disable CS0672 // Obsolete for callers; transports implement it.
    public override void Disassociate()
#pragma warning restore CS0672
    {
        lock (_gate)
        {
            if (_closing || _ended)
            {
                return;
            }

            _closing = true;
            _linger = new Timer(_ => End("the peer did not close its end within shutdown-flush-timeout"), null, _settings.ShutdownFlushTimeout, Timeout.InfiniteTimeSpan);
        }

        _mainQueue.Close();
        _bulkQueue.Close();
    }

    /// <summary>Reads from the connection, on this thread, until it ends.</summary>
    public void Serve()
    {
        End(Guarded(() => ReadHandlerSource.Task.Wait(_settings.ConnectionTimeout)
            ? ReadAll(_main, _mainQueue, bulk: false)
            : "Akka did not take the association within connection-timeout", _main));
        _main.Dispose();
    }

    /// <summary>Takes the second connection into use if there is none yet and its certificate is the first one's.</summary>
    public bool TryTakeBulk(TcpConnection connection)
    {
        lock (_gate)
        {
            if (_ended || _closing || _bulk is not null || !_identified || !connection.Certificate.AsSpan().SequenceEqual(_main.Certificate))
            {
                return false;
            }

            _bulk = connection;
            return true;
        }
    }

    /// <summary>Reads from the second connection, on this thread, until it ends.</summary>
    public void ServeBulk(TcpConnection connection)
    {
        connection.Reader.MaximumBytes = _settings.MaximumFrameBytes;
        Attach(connection, _bulkQueue);
        End("second connection: " + Guarded(() => ReadAll(connection, _bulkQueue, bulk: true), connection));
        connection.Dispose();
    }

    /// <summary>True for one caller at a time, until it calls <see cref="EndReplacing"/>.</summary>
    public bool TryBeginReplacing() => Interlocked.Exchange(ref _replacing, 1) == 0;

    /// <summary>See <see cref="TryBeginReplacing"/>.</summary>
    public void EndReplacing() => Volatile.Write(ref _replacing, 0);

    /// <summary>Breaks the association. Only the first call counts.</summary>
    public void End(string reason)
    {
        TcpConnection? bulk;
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _ended = true;
            bulk = _bulk;
            _linger?.Dispose();
            _unused?.Dispose();
        }

        _main.Cut(reason);
        bulk?.Cut(reason);
        _mainQueue.End();
        _bulkQueue.End();
        if (_identified && _main.Peer is { } peer && _guard.Origin is { } origin)
        {
            _transport.Peers.Unregister(origin, peer.Node);
        }

        _transport.Ended(this, reason, quiet: _closing);
        ReadHandlerSource.Task.ContinueWith(
            static listener => listener.Result.Notify(new Disassociated(DisassociateInfo.Unknown)),
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously | TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
    }

    private static string Guarded(Func<string> read, TcpConnection connection)
    {
        try
        {
            var reason = read();
            return connection.CutReason ?? reason;
        }
        // Everything below is the network's or the peer's doing and ends as one closed connection.
#pragma warning disable CA1031 // See ConnectionFailure.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return connection.CutReason ?? ConnectionFailure.Describe(failure);
        }
    }

    private void Attach(TcpConnection connection, SendQueue queue)
    {
        var most = Math.Max(1, (int)(_settings.IdleTimeout / _settings.KeepAliveInterval));
        connection.Channel.Silence = times =>
        {
            if (times >= most)
            {
                throw new IOException("the peer was silent for idle-timeout");
            }

            queue.Signal(FrameKind.Ping);
        };
        queue.Attach(connection.Channel, $"tcp writer {connection.Remote}");
    }

    private string ReadAll(TcpConnection connection, SendQueue queue, bool bulk)
    {
        while (true)
        {
            switch (connection.Reader.Next(out var unit))
            {
                case FrameKind.Unit:
                    if (!_closing && Take(unit, bulk) is { } refusal)
                    {
                        return refusal;
                    }

                    break;
                case FrameKind.Ping:
                    queue.Signal(FrameKind.Pong);
                    break;
                case FrameKind.Pong:
                    break;
                case FrameKind.OpenBulk:
                    OpenBulk();
                    break;
                case FrameKind.End:
                    return "closed by the peer";
                default:
                    return $"refused a frame whose length is 0x{connection.Reader.RefusedWord:X8}; at most {connection.Reader.MaximumBytes} bytes are allowed here";
            }
        }
    }

    /// <summary>Judges a unit and hands it over. Returns why the association must end, or null.</summary>
    private string? Take(byte[] unit, bool bulk)
    {
        if (bulk && !(PduPeek.TryMessage(unit, out var serializer, out var manifest) && _settings.IsBulk(serializer, manifest)))
        {
            return "refused a unit that is no bulk message";
        }

        string? refusal;
        lock (_guard)
        {
            // Both connections' threads come here, and the guard is for one at a time.
            refusal = _guard.Refuse(unit) ?? (_identified ? null : Identify());
        }

        if (refusal is not null)
        {
            return $"refused: {refusal}";
        }

        using (_scope.Enter())
        {
            ReadHandlerSource.Task.Result.Notify(new InboundPayload(UnsafeByteOperations.UnsafeWrap(unit)));
        }

        return _scope.Refusal is { } body ? $"refused: {body}" : null;
    }

    /// <summary>The first unit has passed the guard: the peer is who it says.</summary>
    private string? Identify()
    {
        if (_main.Peer is { } peer && _guard.Origin is { } origin && !_transport.Peers.Register(origin, peer.Node))
        {
            return $"{origin} belongs to another node than {peer.Node}, which is connected";
        }

        _main.Reader.MaximumBytes = _settings.MaximumFrameBytes;
        lock (_gate)
        {
            _identified = true;
            if (Dialled is not null && !_ended)
            {
                _unused = new Timer(_ => EndIfUnused(), null, _settings.FirstMessageWithin, Timeout.InfiniteTimeSpan);
            }
        }

        Identified?.Invoke();
        return null;
    }

    /// <summary>
    /// Akka stops an endpoint that dials when its peer turns out to be another incarnation, and forgets what the dial brings. The peer may have
    /// chosen just this connection to read from, and then hears nothing on any other.
    /// </summary>
    private void EndIfUnused()
    {
        if (!_carriedMessage && !_ended && !_closing && Origin is { } origin)
        {
            _transport.EndAllWith(origin, $"{Name} was dialled and carried no message: every connection with it is made anew");
        }
    }

    private bool WriteBulk(ByteString payload)
    {
        if (!_bulkQueue.Write(payload))
        {
            return false;
        }

        if (Volatile.Read(ref _bulkAsked) == 0)
        {
            OpenBulk();
        }

        return true;
    }

    /// <summary>Opens the second connection, or asks the side that dialled to do so.</summary>
    private void OpenBulk()
    {
        if (Interlocked.Exchange(ref _bulkAsked, 1) != 0)
        {
            return;
        }

        if (Dialled is null)
        {
            _mainQueue.Signal(FrameKind.OpenBulk);
            return;
        }

        new Thread(() =>
        {
            try
            {
                var connection = _transport.Dial(Dialled, Lane.Bulk, Token);
                if (!TryTakeBulk(connection))
                {
                    connection.Dispose();
                    End("second connection: its certificate is another than the first one's");
                    return;
                }

                ServeBulk(connection);
            }
#pragma warning disable CA1031 // See ConnectionFailure.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                End($"second connection: {ConnectionFailure.Describe(failure)}");
            }
        })
        { IsBackground = true, Name = $"tcp bulk {Dialled}" }.Start();
    }
}
