using Akka.Actor;

namespace FtAkka.Wire.Simulated;

/// <summary>One system's end of a <see cref="SimulatedNetwork"/>.</summary>
internal sealed class SimulatedWire(SimulatedNetwork network, WireContext context) : IWire
{
    private readonly Dictionary<SimulatedWire, IWireSession> _sessions = [];
    private IWireReceiver? _receiver;
    private WirePeer? _self;

    /// <summary>As addresses write it: in small letters.</summary>
    public string Host { get; } = SimulatedNetwork.Named(context.Settings.PublicHostname);

    public bool IsListening => _receiver is not null;

    public Address Start(IWireReceiver receiver)
    {
        _receiver = receiver;
        var address = new Address("akka.tcp", context.SystemName, Host, context.Settings.Port);
        _self = new WirePeer(address, network.Listen(this), context.Settings.NodeName);
        return address;
    }

    public WireSendResult Send(Address destination, ReadOnlySpan<byte> envelope)
    {
        if (_receiver is null)
        {
            return WireSendResult.Closed;
        }

        if (envelope.Length > context.Settings.MaximumFrameBytes)
        {
            return WireSendResult.TooLarge;
        }

        network.Send(this, destination, envelope);
        return WireSendResult.Accepted;   // as over a real network, loss shows to nobody
    }

    public Task StopAsync()
    {
        network.Leave(this);
        Disconnect();
        return Task.CompletedTask;
    }

    /// <summary>Neither sends nor receives from now on.</summary>
    public void Disconnect()
    {
        _receiver = null;
        _sessions.Clear();
    }

    public WireRefusal Deliver(SimulatedWire from, byte[] envelope)
    {
        if (!_sessions.TryGetValue(from, out var session))
        {
            ReportRestart(from);
            session = _receiver!.Open(from._self!);
            _sessions.Add(from, session);
            context.Events.Publish(new WireEvents.Associated(from._self!, Inbound: true));
        }

        return session.Deliver(envelope);
    }

    private void ReportRestart(SimulatedWire from)
    {
        var old = _sessions.Keys.FirstOrDefault(known => known.Host == from.Host);   // one at most
        if (old is not null)
        {
            _sessions.Remove(old);
            context.Events.Publish(new WireEvents.PeerRestarted(
                from._self!.Address, old._self!.Incarnation, from._self.Incarnation));
        }
    }
}
