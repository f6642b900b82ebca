using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote.Transport;
using FtAkka.DeterministicSim.Loop;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// Akka.Remote's transport over the simulated network of this thread's simulation. It stands in the section of the product's TCP transport, whose
/// settings it takes; only <c>transport-class</c> is another.
/// </summary>
public sealed class SimulatedTransport : Transport
{
    private readonly TaskCompletionSource<IAssociationEventListener> _listenerSource = new();
    private readonly Dictionary<Address, TimeSpan> _redialAt = [];
    private readonly ILoggingAdapter _log;
    private readonly TimeSpan _redialAfter;
    private Queue<Action>? _held;
    private IAssociationEventListener? _listener;
    private RemotePeers? _peers;

    /// <summary>The constructor that Akka calls.</summary>
    public SimulatedTransport(ActorSystem system, Config config)
    {
        ArgumentNullException.ThrowIfNull(system);
        ArgumentNullException.ThrowIfNull(config);
        (System, Config) = (system, config);
        SchemeIdentifier = "tcp";
        MaximumPayloadBytes = config.GetByteSize("maximum-frame-size") ?? 128_000;
        Network = SimulationLoop.Current.Network;
        Rules = GuardRules.Read(config);
        _log = Logging.GetLogger(system, "transport");
        _redialAfter = config.GetTimeSpan("redial-after", TimeSpan.FromMilliseconds(100));
        ConnectionTimeout = config.GetTimeSpan("connection-timeout", TimeSpan.FromSeconds(5));
        AttemptTimeout = config.GetTimeSpan("connect-attempt-timeout", TimeSpan.FromMilliseconds(250));
        IdleTimeout = config.GetTimeSpan("idle-timeout", TimeSpan.FromSeconds(5));
        KeepAliveInterval = config.GetTimeSpan("keep-alive-interval", TimeSpan.FromSeconds(1));
        string hostname = config.GetString("public-hostname");
        hostname = SimulatedNetwork.Named(string.IsNullOrEmpty(hostname) ? config.GetString("hostname") : hostname);
        Address = new Address(SchemeIdentifier, system.Name, hostname, config.GetInt("port"));
        _listenerSource.Task.ContinueWith(
            source => _listener = source.Result, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>The host, in small letters, as addresses write it.</summary>
    internal string Host => Address.Host;

    /// <summary>The address under which others know this process.</summary>
    internal Address Address { get; }

    /// <summary>Who is behind which address.</summary>
    internal RemotePeers Peers => _peers ??= RemotePeers.For(System);

    internal SimulatedNetwork Network { get; }

    internal GuardRules Rules { get; }

    internal TimeSpan ConnectionTimeout { get; }

    internal TimeSpan AttemptTimeout { get; }

    internal TimeSpan IdleTimeout { get; }

    internal TimeSpan KeepAliveInterval { get; }

    /// <summary>The process is gone: it neither sends nor receives.</summary>
    internal bool IsDead { get; private set; }

    /// <summary>The process stands still, and what comes for it waits.</summary>
    internal bool Holds => _held is not null;

    /// <summary>Which standstill it is.</summary>
    internal long HoldNumber { get; set; }

    /// <summary>The transport was told to stop in good order, and has.</summary>
    internal bool HasShutDown { get; private set; }

    /// <inheritdoc/>
    public override Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        Network.Listen(this);
        return Task.FromResult((Address, _listenerSource));
    }

    /// <inheritdoc/>
    public override bool IsResponsibleFor(Address remote) => true;

    /// <inheritdoc/>
    public override Task<AssociationHandle> Associate(Address remoteAddress)
    {
        ArgumentNullException.ThrowIfNull(remoteAddress);
        if (_redialAt.TryGetValue(remoteAddress, out TimeSpan redialAt) && Network.Time.Now < redialAt)
        {
            Network.Observer?.Connection(ConnectionEvent.Gated, Host, remoteAddress.Host);
            return Task.FromException<AssociationHandle>(
                new InvalidAssociationException($"{Address} does not dial {remoteAddress} again within {_redialAfter.TotalMilliseconds} ms."));
        }

        var dial = new SimulatedDial(this, remoteAddress);
        dial.Begin();
        return dial.Task;
    }

    /// <inheritdoc/>
    public override Task<bool> Shutdown()
    {
        if (!IsDead)
        {
            Network.Leave(this);
            IsDead = true;
        }

        HasShutDown = true;
        return Task.FromResult(true);
    }

    /// <inheritdoc/>
    public override Task<bool> ManagementCommand(object message) => Task.FromResult(false);

    /// <summary>A dial to an address has failed: others fail at once for a while.</summary>
    internal void DialFailed(Address remote) => _redialAt[remote] = Network.Time.Now + _redialAfter;

    /// <summary>A dial has succeeded.</summary>
    internal void Dialled(Address remote) => _redialAt.Remove(remote);

    /// <summary>A connection from outside is there.</summary>
    internal void Accept(SimulatedAssociation association)
    {
        if (IsDead)
        {
            return;
        }

        if (_held is { } held)
        {
            held.Enqueue(() => Accept(association));
        }
        else if (_listener is { } listener)
        {
            RemotingWork.Run(() => listener.Notify(new InboundAssociation(association)));
        }
    }

    /// <summary>A peer said what it may not say.</summary>
    internal void Refused(string host, string refusal) => _log.Warning("{0}: {1}; the connection is closed", host, refusal);

    /// <summary>What comes waits from now on.</summary>
    internal void BeginHolding() => _held ??= new Queue<Action>();

    /// <summary>Something that comes waits.</summary>
    internal void Hold(Action arrival) => _held!.Enqueue(arrival);

    /// <summary>Gives what has waited, and holds no more.</summary>
    internal Queue<Action>? EndHolding()
    {
        var held = _held;
        _held = null;
        return held;
    }

    /// <summary>The power is gone.</summary>
    internal void Die()
    {
        IsDead = true;
        _held = null;
    }
}
