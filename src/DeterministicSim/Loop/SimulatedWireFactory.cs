using FtAkka.Wire;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Joins a system to the network of the simulation that makes it. Named under <c>akka.remote.wire.factory</c>.</summary>
public sealed class SimulatedWireFactory : IWireFactory
{
    /// <inheritdoc/>
    public IWire Create(WireContext context) => SimulationLoop.Current.Network.Join(context);
}
