using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>The runners by name.</summary>
public static class ScenarioRunners
{
    /// <summary>The whole system.</summary>
    public const string Cluster = "cluster";

    /// <summary>The protocol alone.</summary>
    public const string Protocol = "protocol";

    /// <summary>A runner by its name.</summary>
    /// <exception cref="ScenarioException">There is none of this name.</exception>
    public static IScenarioRunner Create(string name) => name switch
    {
        Cluster => new ClusterRunner(),
        Protocol => new ProtocolRunner(),
        _ => throw new ScenarioException($"there is no runner '{name}': {Cluster}, {Protocol}"),
    };
}
