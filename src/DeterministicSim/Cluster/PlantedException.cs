namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A mistake of the monitor, as a fault plants it in a step of a replica.</summary>
internal sealed class PlantedException(string host) : Exception($"a planted mistake on {host}");
