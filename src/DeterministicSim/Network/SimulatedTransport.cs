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
    private readonly Dictionary<Address, (TimeSpan OpensAt, string Reason)> _gates = [];
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
        config = config.WithFallback(RemotingDefaults.Reference.GetConfig(GuardRules.Section));
        (System, Config) = (system, config);
        SchemeIdentifier = "tcp";
        MaximumPayloadBytes = config.GetByteSize("maximum-frame-size") ?? throw new ConfigurationException("maximum-frame-size is not a size.");
        Network = SimulationLoop.Current.Network;
        Rules = GuardRules.Read(config);
        _log = Logging.GetLogger(system, "transport");
        _redialAfter = config.GetTimeSpan("redial-after");
        ConnectionTimeout = config.GetTimeSpan("connection-timeout");
        AttemptTimeout = config.GetTimeSpan("connect-attempt-timeout");
        FirstMessageWithin = config.GetTimeSpan("first-message-within");
        IdleTimeout = config.GetTimeSpan("idle-timeout");
        KeepAliveInterval = config.GetTimeSpan("keep-alive-interval");
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

    internal TimeSpan FirstMessageWithin { get; }

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
        if (_gates.TryGetValue(remoteAddress, out var gate) && Network.Time.Now < gate.OpensAt)
        {
            Network.Observer?.Connection(ConnectionEvent.Gated, Host, remoteAddress.Host);
            return Task.FromException<AssociationHandle>(new InvalidAssociationException(gate.Reason));
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
    internal void DialFailed(Address remote, string reason) => _gates[remote] = (Network.Time.Now + _redialAfter, reason);

    /// <summary>A dial has succeeded.</summary>
    internal void Dialled(Address remote) => _gates.Remove(remote);

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
