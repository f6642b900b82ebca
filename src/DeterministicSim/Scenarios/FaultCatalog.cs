using System.Collections.Immutable;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>Whom a kind of fault concerns.</summary>
public enum FaultScope
{
    /// <summary>The cluster as a whole; no host is named.</summary>
    Cluster,

    /// <summary>One host, which must be named.</summary>
    Host,

    /// <summary>One host, or every host where none is named.</summary>
    HostOrAll,

    /// <summary>Two hosts, both named.</summary>
    Link,
}

/// <summary>How long a kind of fault may last.</summary>
public enum FaultLength
{
    /// <summary>It happens at once and has no duration.</summary>
    Instant,

    /// <summary>A duration, or none for "to the end of the faults".</summary>
    Optional,

    /// <summary>A duration above zero.</summary>
    Required,
}

/// <summary>What a fault of a kind must and may say.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Scope">Whom it concerns.</param>
/// <param name="Length">How long it may last.</param>
/// <param name="Unit">Unit of the magnitude; null where there is none.</param>
/// <param name="Least">Smallest magnitude.</param>
/// <param name="Most">Greatest magnitude.</param>
/// <param name="Default">Magnitude where none is given.</param>
public sealed record FaultShape(FaultKind Kind, FaultScope Scope, FaultLength Length, string? Unit = null, long Least = 0, long Most = 0, long Default = 0)
{
    /// <summary>The magnitude of a fault, or the kind's default.</summary>
    public long MagnitudeOf(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        return fault.Magnitude == 0 ? Default : fault.Magnitude;
    }
}

/// <summary>The shape of every kind of fault: the table of docs/simulation.md.</summary>
public static class FaultCatalog
{
    /// <summary>Parts per million.</summary>
    public const string PerMillion = "ppm";

    /// <summary>Microseconds.</summary>
    public const string Microseconds = "us";

    /// <summary>Per cent.</summary>
    public const string Percent = "%";

    /// <summary>Bytes.</summary>
    public const string Bytes = "bytes";

    /// <summary>A number that something is drawn from.</summary>
    public const string Draws = "draws";

    private const long Second = 1_000_000;

    private static readonly ImmutableSortedDictionary<FaultKind, FaultShape> Shapes = new FaultShape[]
    {
        new(FaultKind.HostCrash, FaultScope.Host, FaultLength.Optional),
        new(FaultKind.HostPause, FaultScope.Host, FaultLength.Required),
        new(FaultKind.Partition, FaultScope.Link, FaultLength.Optional),
        new(FaultKind.OneWayPartition, FaultScope.Link, FaultLength.Optional),
        new(FaultKind.FlappingPartition, FaultScope.Link, FaultLength.Required),
        new(FaultKind.FrameLoss, FaultScope.Cluster, FaultLength.Optional, PerMillion, 1, 1_000_000, 50_000),
        new(FaultKind.FrameDelay, FaultScope.Cluster, FaultLength.Optional, Microseconds, 1, 10 * Second, 5_000),
        new(FaultKind.FrameReordering, FaultScope.Cluster, FaultLength.Optional),
        new(FaultKind.FrameDuplication, FaultScope.Cluster, FaultLength.Optional, PerMillion, 1, 1_000_000, 50_000),
        new(FaultKind.FrameCorruption, FaultScope.Cluster, FaultLength.Optional, PerMillion, 1, 1_000_000, 10_000),
        new(FaultKind.DiskSlow, FaultScope.HostOrAll, FaultLength.Optional, Microseconds, 1, 60 * Second, 200_000),
        new(FaultKind.DiskFailure, FaultScope.HostOrAll, FaultLength.Optional),
        new(FaultKind.DiskTornWrite, FaultScope.HostOrAll, FaultLength.Optional),
        new(FaultKind.DiskLostWrite, FaultScope.HostOrAll, FaultLength.Optional),
        new(FaultKind.DiskFull, FaultScope.HostOrAll, FaultLength.Optional),
        new(FaultKind.ArbiterSlow, FaultScope.HostOrAll, FaultLength.Optional, Microseconds, 1, 60 * Second, 500_000),
        new(FaultKind.ArbiterUnreachable, FaultScope.HostOrAll, FaultLength.Optional),
        new(FaultKind.ClockSkew, FaultScope.Host, FaultLength.Instant, Microseconds, -86_400 * Second, 86_400 * Second, 50_000),
        new(FaultKind.ClockDrift, FaultScope.Host, FaultLength.Optional, PerMillion, -9_000, 9_000, 5_000),
        new(FaultKind.ClockJump, FaultScope.Host, FaultLength.Instant, Microseconds, -86_400 * Second, 86_400 * Second, 500_000),
        new(FaultKind.BackupSlow, FaultScope.Cluster, FaultLength.Optional, Percent, 1, 100, 10),
        new(FaultKind.LogBufferFull, FaultScope.Cluster, FaultLength.Optional, Bytes, 64, 1L << 30, 1024),
        new(FaultKind.DigestWrong, FaultScope.Cluster, FaultLength.Instant),
        new(FaultKind.ConnectionReset, FaultScope.Link, FaultLength.Instant),
        new(FaultKind.SmallLimits, FaultScope.Cluster, FaultLength.Optional, Draws, 1, 1_000_000, 1),
        new(FaultKind.DiskNotThere, FaultScope.Host, FaultLength.Required),
        new(FaultKind.ShellThrows, FaultScope.Host, FaultLength.Instant),
    }.ToImmutableSortedDictionary(shape => shape.Kind, shape => shape);

    /// <summary>Target of a fault that concerns whoever runs the VM for the outside when it strikes.</summary>
    public const string Primary = "primary";

    /// <summary>Target of a fault that concerns whoever is, or is about to be, the backup when it strikes.</summary>
    public const string Backup = "backup";

    /// <summary>Every kind in the order of the enumeration.</summary>
    public static IEnumerable<FaultShape> All => Shapes.Values;

    /// <summary>What a fault of this kind must and may say.</summary>
    public static FaultShape Of(FaultKind kind) => Shapes[kind];

    /// <summary>What is wrong with a fault, and what is allowed; null when nothing is.</summary>
    public static string? Problem(Fault fault, IReadOnlyCollection<string> hosts)
    {
        ArgumentNullException.ThrowIfNull(fault);
        ArgumentNullException.ThrowIfNull(hosts);
        FaultShape shape = Of(fault.Kind);
        string whom = $"{string.Join(", ", hosts)}, {Primary} or {Backup}";
        return TargetProblem(fault, shape, hosts, whom)
            ?? LengthProblem(fault, shape)
            ?? MagnitudeProblem(fault.Magnitude, shape)
            ?? (fault.At < TimeSpan.Zero ? "the time must not be below zero" : null)
            ?? (fault.Moment is not null && fault.Kind is not (FaultKind.HostCrash or FaultKind.HostPause)
                ? "only host-crash and host-pause can strike at a moment" : null);
    }

    /// <summary>Whether a fault between two hosts goes from one to the other.</summary>
    public static bool IsDirected(FaultKind kind) => kind is FaultKind.OneWayPartition or FaultKind.ConnectionReset;

    private static string? TargetProblem(Fault fault, FaultShape shape, IReadOnlyCollection<string> hosts, string whom)
    {
        switch (shape.Scope)
        {
            case FaultScope.Cluster when fault.Target.Length > 0 || fault.Other.Length > 0:
                return "it concerns the whole cluster: it takes no host";
            case FaultScope.Host when fault.Target.Length == 0:
                return $"'on' is missing: {whom}";
            case FaultScope.Link when fault.Target.Length == 0 || fault.Other.Length == 0:
                return IsDirected(fault.Kind)
                    ? $"'from HOST to HOST' is missing: {whom}" : $"'between HOST and HOST' is missing: {whom}";
            case FaultScope.Link when fault.Target == fault.Other:
                return $"the two hosts must differ; both are '{fault.Target}'";
            case FaultScope.Host or FaultScope.HostOrAll when fault.Other.Length > 0:
                return "it concerns one host, not two";
            default:
                break;
        }
        foreach (string host in (string[])[fault.Target, fault.Other])
        {
            if (host.Length > 0 && host is not (Primary or Backup) && !hosts.Contains(host))
            {
                return $"there is no host '{host}': {whom}";
            }
        }
        return null;
    }

    private static string? LengthProblem(Fault fault, FaultShape shape) => shape.Length switch
    {
        FaultLength.Instant when fault.Duration != TimeSpan.Zero => "it happens at once: it takes no 'for'",
        FaultLength.Required when fault.Duration <= TimeSpan.Zero => "'for' is missing: a duration above zero, such as 500ms",
        _ when fault.Duration < TimeSpan.Zero => "the duration must not be below zero",
        _ => null,
    };

    private static string? MagnitudeProblem(long magnitude, FaultShape shape)
    {
        if (magnitude == 0)
        {
            return null;
        }
        if (shape.Unit is null)
        {
            return "it has no magnitude: it takes no 'with'";
        }
        return magnitude < shape.Least || magnitude > shape.Most
            ? $"the magnitude must be between {shape.Least} and {shape.Most} {shape.Unit}" : null;
    }

    /// <summary>What is wrong with faults by chance, and what is allowed; null when nothing is.</summary>
    public static string? Problem(FaultRate rate)
    {
        ArgumentNullException.ThrowIfNull(rate);
        FaultShape shape = Of(rate.Kind);
        if (rate.PerSecond is not (> 0 and <= FaultPlanner.RateMost))
        {
            return $"the rate must be above 0 and at most {FaultPlanner.RateMost} per second";
        }
        if (rate.DurationMost < rate.DurationLeast || rate.DurationLeast < TimeSpan.Zero)
        {
            return "the durations must be LEAST..MOST, none below zero";
        }
        if (rate.MagnitudeMost < rate.MagnitudeLeast)
        {
            return "the magnitudes must be LEAST..MOST";
        }
        return LengthProblem(new Fault(rate.Kind, default, "", Duration: rate.DurationLeast), shape)
            ?? LengthProblem(new Fault(rate.Kind, default, "", Duration: rate.DurationMost), shape)
            ?? MagnitudeProblem(rate.MagnitudeLeast, shape) ?? MagnitudeProblem(rate.MagnitudeMost, shape)
            ?? (rate.Moment is not null && rate.Kind is not (FaultKind.HostCrash or FaultKind.HostPause)
                ? "only host-crash and host-pause can strike at a moment" : null);
    }
}
