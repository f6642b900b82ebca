using System.Text.Json;
using System.Text.Json.Serialization;

using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// What the command line and a node say to each other over the node's control socket: one JSON document per line. A client sends a
/// <see cref="ControlRequest"/>, the node a <see cref="ControlAnswer"/>; after an accepted <c>console</c> both send <see cref="ConsolePiece"/> until one closes.
/// </summary>
internal static class ControlFormat
{
    /// <summary>Longest line, in characters.</summary>
    public const int LineMax = 1 << 20;

    /// <summary>How documents are written and read.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };
}

/// <summary>A client's request.</summary>
/// <param name="Op">start, protect, unprotect, failover, stop, reset, nmi, list or console.</param>
/// <param name="Vm">Name of the VM.</param>
/// <param name="File">start: the VM's file.</param>
/// <param name="Node">start, protect: node of the backup.</param>
/// <param name="TakeOver">start: although the arbiter knows another owner.</param>
/// <param name="AcceptOldDisk">start: although another node has newer images of its disks.</param>
/// <param name="Offset">console: position of the first byte wanted.</param>
internal sealed record ControlRequest(
    string Op, string? Vm = null, string? File = null, string? Node = null, bool TakeOver = false, bool AcceptOldDisk = false, ulong Offset = 0);

/// <summary>A node's answer.</summary>
/// <param name="Error">Why it was refused; null if it was not.</param>
/// <param name="Text">What was done, for people.</param>
/// <param name="Node">Name of the node.</param>
/// <param name="Replicas">list: the replicas of the node.</param>
/// <param name="Vm">start: name of the VM.</param>
/// <param name="Notice">list: what the node's operator should do something about, such as a certificate that expires soon.</param>
internal sealed record ControlAnswer(
    string? Error = null, string? Text = null, string? Node = null, IReadOnlyList<ReplicaStatusLine>? Replicas = null, string? Notice = null, string? Vm = null);

/// <summary>Console bytes.</summary>
/// <param name="Offset">Node to client: position of the first byte since power-on.</param>
/// <param name="Data">The bytes.</param>
internal sealed record ConsolePiece(ulong Offset, byte[] Data);

/// <summary>One replica as <c>vm list</c> and <c>vm status</c> show it. Times are milliseconds.</summary>
internal sealed record ReplicaStatusLine
{
    /// <summary>The node.</summary>
    public required string Node { get; init; }

    /// <summary>The VM.</summary>
    public required string Vm { get; init; }

    /// <summary>Role, or "ended".</summary>
    public required string Role { get; init; }

    /// <summary>Generation.</summary>
    public ulong Generation { get; init; }

    /// <summary>Node of the other replica.</summary>
    public string? Peer { get; init; }

    /// <summary>The backup can take over, and is near enough to do it without delay.</summary>
    public bool Protected { get; init; }

    /// <summary>The backup can take over, however far it is behind.</summary>
    public bool CanTakeOver { get; init; }

    /// <summary>What people read behind the role.</summary>
    [JsonIgnore]
    public string ProtectionText => Protected ? ", protected"
        : Unable is not null ? ", not protected: its backup could not go live"
        : CanTakeOver ? ", not protected while its backup is behind" : "";

    /// <summary>Why the backup could not go live on its host; null if it could.</summary>
    public string? Unable { get; init; }

    /// <summary>Instructions retired.</summary>
    public ulong Icount { get; init; }

    /// <summary>Execution lag of the backup.</summary>
    public double LagMs { get; init; }

    /// <summary>How long clients would go without an answer if the VM's host died now; null without a backup that can take over.</summary>
    public double? OutageExpectedMs { get; init; }

    /// <summary>Newest log entry.</summary>
    public ulong LogEnd { get; init; }

    /// <summary>Newest entry the backup has received.</summary>
    public ulong Acknowledged { get; init; }

    /// <summary>Newest entry the backup has executed.</summary>
    public ulong Executed { get; init; }

    /// <summary>Entries in the log buffer.</summary>
    public int LogEntries { get; init; }

    /// <summary>Bytes of them.</summary>
    public long LogBytes { get; init; }

    /// <summary>Outputs that wait.</summary>
    public int HeldOutputs { get; init; }

    /// <summary>Bytes of log entries sent to backups since this replica went live.</summary>
    public long LogBytesSent { get; init; }

    /// <summary>How long half of the outputs waited for their acknowledgement at most.</summary>
    public double OutputDelayMedianMs { get; init; }

    /// <summary>The same for 99 of 100.</summary>
    public double OutputDelayP99Ms { get; init; }

    /// <summary>Outputs that waited.</summary>
    public long OutputsDelayed { get; init; }

    /// <summary>CPU share that lag control leaves the machine, percent.</summary>
    public int SharePercent { get; init; }

    /// <summary>Why the machine stands, if it does.</summary>
    public string? Stopped { get; init; }

    /// <summary>Digests compared and found equal.</summary>
    public ulong DigestsChecked { get; init; }

    /// <summary>What the digests say: "equal", "none yet"; on a primary "compared by the backup".</summary>
    public string? DigestState { get; init; }

    /// <summary>Icount of the last digest compared and equal.</summary>
    public ulong LastDigestIcount { get; init; }

    /// <summary>Log sent or received over the last second.</summary>
    public double LogMbitPerSecond { get; init; }

    /// <summary>Outputs that wait, or that a device has and has not performed.</summary>
    public int OutputsUnderWay { get; init; }

    /// <summary>Bytes of them.</summary>
    public long OutputBytes { get; init; }

    /// <summary>How often the channel broke and was resumed.</summary>
    public int Reconnects { get; init; }

    /// <summary>How often the arbiter has not answered, while a question is open.</summary>
    public int ArbiterFailures { get; init; }

    /// <summary>The last clone.</summary>
    public string? CopyState { get; init; }

    /// <summary>How far the last clone is with disks that are not shared.</summary>
    public string? DiskState { get; init; }

    /// <summary>Bytes of the last clone that the other side has confirmed.</summary>
    public long? CopyBytes { get; init; }

    /// <summary>Its mean rate.</summary>
    public double? CopyMbPerSecond { get; init; }

    /// <summary>How long the last clone paused the machine.</summary>
    public double? CopyPauseMs { get; init; }

    /// <summary>The failover that made this replica live.</summary>
    public FailoverLine? Failover { get; init; }

    /// <summary>Why the last copy failed, or the backup was lost; null once there is one that can take over.</summary>
    public string? LastError { get; init; }

    /// <summary>How often the node itself has stood still since it began: its host is starved, or was paused.</summary>
    public long NodeGaps { get; init; }

    /// <summary>The longest of those times.</summary>
    public double NodeGapLongestMs { get; init; }

    /// <summary>How it ended.</summary>
    public string? End { get; init; }

    private static string? DigestsOf(ReplicaView view) => view.Status.Role switch
    {
        ReplicaRole.ProtectedPrimary => "compared by the backup",
        ReplicaRole.Backup or ReplicaRole.BackupSyncing or ReplicaRole.GoingLive => view.DigestsChecked > 0 ? "equal" : "none yet",
        _ => null,
    };

    /// <summary>The line of a replica.</summary>
    public static ReplicaStatusLine Of(ReplicaLine line)
    {
        if (line.View is not { Status: var status } view)
        {
            return new ReplicaStatusLine { Node = line.Node, Vm = line.Vm, Role = line.End is null ? "starting" : "ended", Generation = line.End?.Generation ?? 0, End = line.End?.What };
        }
        return new ReplicaStatusLine
        {
            Node = line.Node,
            Vm = line.Vm,
            Role = JsonNamingPolicy.CamelCase.ConvertName(status.Role.ToString()),
            Generation = status.Generation,
            Peer = status.Peer,
            Protected = status.Protected,
            CanTakeOver = status.CanTakeOver,
            Unable = status.Unable,
            Icount = status.Icount,
            LagMs = Math.Round(status.Lag.TotalMilliseconds, 3),
            OutageExpectedMs = status.OutageExpected is { } outage ? Math.Round(outage.TotalMilliseconds) : null,
            LogEnd = status.LogEnd.Value,
            Acknowledged = status.Acknowledged.Value,
            Executed = status.Executed.Value,
            LogEntries = status.LogEntries,
            LogBytes = status.LogBytes,
            HeldOutputs = status.HeldOutputs,
            LogBytesSent = status.LogBytesSent,
            OutputDelayMedianMs = Math.Round(status.OutputDelayMedian.TotalMilliseconds, 3),
            OutputDelayP99Ms = Math.Round(status.OutputDelayP99.TotalMilliseconds, 3),
            OutputsDelayed = status.OutputsDelayed,
            SharePercent = status.SharePercent,
            Stopped = status.Stopped == 0 ? null : status.Stopped.ToString(),
            DigestsChecked = view.DigestsChecked,
            DigestState = DigestsOf(view),
            LastDigestIcount = view.LastDigestIcount,
            LogMbitPerSecond = Math.Round(view.LogBitsPerSecond / 1e6, 4),
            OutputsUnderWay = status.OutputsUnderWay,
            OutputBytes = status.OutputBytes,
            Reconnects = view.Reconnects,
            ArbiterFailures = status.ArbiterFailures,
            CopyBytes = view.LastClone?.Bytes,
            CopyMbPerSecond = view.LastClone is { Elapsed.Ticks: > 0 } copy ? Math.Round(copy.Bytes / 1e6 / copy.Elapsed.TotalSeconds, 1) : null,
            CopyState = view.LastClone is { } clone ? $"round {clone.Round}, {clone.Sent} of {clone.Of} pages" : null,
            DiskState = view.LastClone?.Disks is { } disks
                ? $"{disks.Compared} of {disks.Of} blocks compared, {disks.Differing} differ, {disks.Sent} sent, with those changed meanwhile" : null,
            CopyPauseMs = view.LastClone is { Pause.Ticks: > 0 } paused ? Math.Round(paused.Pause.TotalMilliseconds, 3) : null,
            Failover = view.Times.Live == default ? null : FailoverLine.Of(view),
            LastError = view.LastError,
            NodeGaps = line.Gaps.Count,
            NodeGapLongestMs = Math.Round(line.Gaps.Longest.TotalMilliseconds, 3),
        };
    }
}

/// <summary>A failover as the new live replica measured it, in milliseconds; and the moments by the host's monotonic clock, for whoever measures on the same host.</summary>
/// <param name="DetectionMs">From the primary's last message to the suspicion.</param>
/// <param name="DrainMs">Replay of what had been received.</param>
/// <param name="ArbiterMs">Asking the arbiter.</param>
/// <param name="GoLiveMs">Opening devices until the machine ran.</param>
/// <param name="LastHeardAt">Monotonic clock at the last message.</param>
/// <param name="LiveAt">Monotonic clock when the machine ran.</param>
/// <param name="OutputsResent">Outputs handed over again.</param>
/// <param name="DiskRequestsReissued">Disk requests issued again.</param>
internal sealed record FailoverLine(
    double DetectionMs, double DrainMs, double ArbiterMs, double GoLiveMs, double LastHeardAt, double LiveAt, int OutputsResent, int DiskRequestsReissued)
{
    /// <summary>The line of a replica that went live.</summary>
    public static FailoverLine Of(ReplicaView view) => new(
        Between(view.Times.LastHeard, view.Times.Suspected),
        Between(view.Times.Suspected, view.Times.Drained),
        Between(view.Times.Drained, view.Times.Won),
        Between(view.Times.Won, view.Times.Live),
        view.Times.LastHeard.TotalMilliseconds,
        view.Times.Live.TotalMilliseconds,
        view.Times.OutputsResent,
        view.Times.DiskRequestsReissued);

    private static double Between(TimeSpan from, TimeSpan to) => Math.Round((to - from).TotalMilliseconds, 3);
}
