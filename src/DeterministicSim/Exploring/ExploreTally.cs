using System.Collections.Immutable;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>A seed that violated an invariant.</summary>
public sealed record FailedSeed(ulong Seed, Violation Violation);

/// <summary>What many seeds came to. Adding is commutative: the order in which seeds were run does not show.</summary>
public sealed record ExploreTally
{
    /// <summary>Nothing yet.</summary>
    public static ExploreTally Empty { get; } = new();

    /// <summary>Seeds run.</summary>
    public long Seeds { get; init; }

    /// <summary>Virtual time of all of them.</summary>
    public TimeSpan VirtualTime { get; init; }

    /// <summary>Seeds that failed, in ascending order.</summary>
    public ImmutableArray<FailedSeed> Failures { get; init; } = [];

    /// <summary>How often each kind of fault took effect.</summary>
    public ImmutableSortedDictionary<FaultKind, long> Effects { get; init; } = ImmutableSortedDictionary<FaultKind, long>.Empty;

    /// <summary>How often each moment was reached.</summary>
    public ImmutableSortedDictionary<NamedMoment, long> MomentsReached { get; init; } = ImmutableSortedDictionary<NamedMoment, long>.Empty;

    /// <summary>How often each state of replicas was entered.</summary>
    public ImmutableSortedDictionary<RunState, long> StatesReached { get; init; } = ImmutableSortedDictionary<RunState, long>.Empty;

    /// <summary>How often a host was crashed at each moment.</summary>
    public ImmutableSortedDictionary<NamedMoment, long> CrashedAt { get; init; } = ImmutableSortedDictionary<NamedMoment, long>.Empty;

    /// <summary>How often each thing happened to connections between hosts.</summary>
    public ImmutableSortedDictionary<ConnectionEvent, long> Connections { get; init; } = ImmutableSortedDictionary<ConnectionEvent, long>.Empty;

    /// <summary>Why VMs got their generations, and how often.</summary>
    public ImmutableSortedDictionary<GenerationCause, long> GenerationsBy { get; init; } = ImmutableSortedDictionary<GenerationCause, long>.Empty;

    /// <summary>How often nodes did what operators asked, or began it.</summary>
    public ImmutableSortedDictionary<OperatorAction, long> VerbsDone { get; init; } = ImmutableSortedDictionary<OperatorAction, long>.Empty;

    /// <summary>How often nodes refused it.</summary>
    public ImmutableSortedDictionary<OperatorAction, long> VerbsRefused { get; init; } = ImmutableSortedDictionary<OperatorAction, long>.Empty;

    /// <summary>Generations of all VMs together.</summary>
    public long Generations { get; init; }

    /// <summary>Most generations of one seed.</summary>
    public ulong GenerationsMost { get; init; }

    /// <summary>Instructions of live guests.</summary>
    public ulong Instructions { get; init; }

    /// <summary>Sum of a hash of every seed with its trace: equal where every seed ran alike, whoever ran it.</summary>
    public ulong TraceSum { get; init; }

    /// <summary>With one more run.</summary>
    public ExploreTally Add(SimulationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return Add(new ExploreTally
        {
            Seeds = 1,
            VirtualTime = report.VirtualTime,
            Failures = report.Violation is { } violation ? [new FailedSeed(report.Seed, violation)] : [],
            Effects = report.Effects,
            MomentsReached = report.MomentsReached,
            StatesReached = report.StatesReached,
            CrashedAt = report.CrashedAt,
            Connections = report.Connections,
            GenerationsBy = report.GenerationsBy,
            VerbsDone = report.VerbsDone,
            VerbsRefused = report.VerbsRefused,
            Generations = (long)report.Generations,
            GenerationsMost = report.Generations,
            Instructions = report.Instructions,
            TraceSum = TraceOf(report),
        });
    }

    /// <summary>With others.</summary>
    public ExploreTally Add(ExploreTally other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new ExploreTally
        {
            Seeds = Seeds + other.Seeds,
            VirtualTime = VirtualTime + other.VirtualTime,
            Failures = other.Failures.IsEmpty ? Failures : [.. Failures.Concat(other.Failures).OrderBy(failure => failure.Seed)],
            Effects = Sum(Effects, other.Effects),
            MomentsReached = Sum(MomentsReached, other.MomentsReached),
            StatesReached = Sum(StatesReached, other.StatesReached),
            CrashedAt = Sum(CrashedAt, other.CrashedAt),
            Connections = Sum(Connections, other.Connections),
            GenerationsBy = Sum(GenerationsBy, other.GenerationsBy),
            VerbsDone = Sum(VerbsDone, other.VerbsDone),
            VerbsRefused = Sum(VerbsRefused, other.VerbsRefused),
            Generations = Generations + other.Generations,
            GenerationsMost = Math.Max(GenerationsMost, other.GenerationsMost),
            Instructions = Instructions + other.Instructions,
            TraceSum = unchecked(TraceSum + other.TraceSum),
        };
    }

    private static ulong TraceOf(SimulationReport report)
    {
        ulong hash = 14695981039346656037UL ^ report.Seed;   // FNV-1a, 64 bit
        foreach (char c in report.TraceHash)
        {
            hash = unchecked((hash ^ c) * 1099511628211UL);
        }
        return hash;
    }

    private static ImmutableSortedDictionary<T, long> Sum<T>(ImmutableSortedDictionary<T, long> one, ImmutableSortedDictionary<T, long> other)
        where T : struct, Enum
    {
        if (one.IsEmpty || other.IsEmpty)
        {
            return one.IsEmpty ? other : one;
        }
        var sum = one.ToBuilder();
        foreach (var (key, count) in other)
        {
            sum[key] = sum.GetValueOrDefault(key) + count;
        }
        return sum.ToImmutable();
    }
}
