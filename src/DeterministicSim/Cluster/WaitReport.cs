using System.Globalization;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Says of each host who waits there for what: the text of a liveness failure.</summary>
internal static class WaitReport
{
    /// <summary>All hosts, in order of their names.</summary>
    public static string Of(ClusterWorld world) => string.Join("; ", world.Hosts.Select(host => $"{host.Name} {Of(host)}"))
        + string.Create(CultureInfo.InvariantCulture, $"; the outside is at byte {world.Outside.Position} of the console and answer {world.Lan.Answered}");

    private static string Of(SimulatedHost host)
    {
        if (host.System is null)
        {
            return "is down";
        }
        string paused = host.IsPaused ? "stands still, " : "";
        if (host.Replica is not { } replica)
        {
            return paused + (host.Replicas.LastOrDefault() is { End: { } end } ? $"has no replica any more: {end.Reason}: {end.What}" : "has no replica");
        }
        ReplicaView view = replica.Handle.View;
        return paused + string.Create(CultureInfo.InvariantCulture, $"is {view.Status.Role} of generation {view.Status.Generation}") + WhatFor(view)
            + (view.Status.ArbiterFailures > 0 ? string.Create(CultureInfo.InvariantCulture, $", the arbiter has not answered {view.Status.ArbiterFailures} times in a row") : "");
    }

    private static string WhatFor(ReplicaView view)
    {
        ReplicaStatus status = view.Status;
        return status.Role switch
        {
            ReplicaRole.Solo => ", without a backup" + Stands(status) + Outputs(status),
            ReplicaRole.CloningPrimary => $", copies to {status.Peer}: {Copy(view.LastClone)}" + Stands(status) + Outputs(status),
            ReplicaRole.ProtectedPrimary => string.Create(CultureInfo.InvariantCulture,
                $", {(status.Protected ? "protected" : status.CanTakeOver ? "not protected for its lag" : "not protected yet")} by {status.Peer}, which has acknowledged entry {status.Acknowledged} of {status.LogEnd} and executed {status.Executed}, lag {status.Lag.TotalMilliseconds:F0} ms")
                + Stands(status) + Outputs(status),
            ReplicaRole.BackupSyncing or ReplicaRole.Backup or ReplicaRole.GoingLive => string.Create(CultureInfo.InvariantCulture,
                $" of {status.Peer}, has executed entry {status.Executed} of {status.LogEnd}")
                + (status.Stopped.HasFlag(StopReasons.ReplayOutputsFull) ? ", replay is held: its outputs fill the gate" : "") + Outputs(status),
            _ => "",
        };
    }

    private static string Copy(CloneView? copy) => copy is null ? "the offer is not answered"
        : string.Create(CultureInfo.InvariantCulture, $"round {copy.Round}, {copy.Sent} of {copy.Of} pages sent, {copy.Bytes} bytes confirmed")
            + (copy.Disks is { } disks ? string.Create(CultureInfo.InvariantCulture, $", {disks.Compared} of {disks.Of} blocks compared") : "");

    private static string Stands(ReplicaStatus status) => status.Stopped == StopReasons.None ? "" : $", its machine stands: {status.Stopped}";

    private static string Outputs(ReplicaStatus status) => status.OutputsUnderWay == 0 ? ""
        : string.Create(CultureInfo.InvariantCulture, $", {status.HeldOutputs} outputs held of {status.OutputsUnderWay} under way");
}
