using System.Collections.Immutable;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>A machine as it was when it was copied, with what the checks know of it.</summary>
internal sealed record ProtocolSnapshot(
    ProtocolGuest Machine, int Outputs, KeyValuePair<ulong, DiskRequest>[] Pending, bool[] MustLeave);

/// <summary>Hosts, a network between them, a shared disk and an arbiter, under virtual time, from one seed. Time is in ticks of 100 ns.</summary>
internal sealed partial class ProtocolCluster
{
    private const long Millisecond = TimeSpan.TicksPerMillisecond;
    private const long StepsPerSecondMost = 60_000;
    private const long StepsLeast = 300_000;

    private readonly PriorityQueue<(ProtocolHost? Host, long Incarnation, Action Action), Due> _events = new();
    private readonly SimulatedRandom _random;
    private readonly ProtocolJournal _journal;
    private readonly long _faultsEnd;
    private readonly long _end;
    private long _order;
    private long _steps;
    private long _settledSince = -1;
    private long _lostSince = -1;

    private readonly record struct Due(long Time, long Order) : IComparable<Due>
    {
        public int CompareTo(Due other) => Time != other.Time ? Time.CompareTo(other.Time) : Order.CompareTo(other.Order);
    }

    public ProtocolCluster(Scenario scenario, ulong seed, ImmutableArray<Fault> plan, TimeSpan duration, ProtocolMutation mutation, ProtocolJournal journal)
    {
        (Scenario, Seed, Mutation, _journal) = (scenario, seed, mutation, journal);
        (_faultsEnd, _end) = (duration.Ticks, (duration + scenario.LivenessBound).Ticks);
        _random = SimulatedRandom.Stream(seed, "world");
        World = new ProtocolWorld(mutation);
        Network = new ProtocolNetwork(this);
        Faults = new ProtocolFaults(this, plan);
        Options = OptionsOf(scenario);
        Hosts = [.. scenario.Hosts.Select(name => new ProtocolHost(name, this))];
        foreach (ProtocolHost host in Hosts)
        {
            host.Clock.Skew(_random.Below(1_000_000));
        }
    }

    public Scenario Scenario { get; }

    public ulong Seed { get; }

    public ProtocolMutation Mutation { get; }

    public ImmutableArray<ProtocolHost> Hosts { get; }

    public ProtocolWorld World { get; }

    public ProtocolNetwork Network { get; }

    public ProtocolFaults Faults { get; }

    public ProtectionOptions Options { get; }

    public static CloneOptions CloneOptions { get; } = new()
    {
        ChunkBytes = 120,
        WindowChunks = 4,
        RoundsMax = 4,
        ResendAfter = TimeSpan.FromMilliseconds(60),
        SilenceMax = TimeSpan.FromMilliseconds(700),
    };

    public Dictionary<ulong, ProtocolSnapshot> Snapshots { get; } = [];

    /// <summary>Digests that a fault made wrong: generation and number of the entry.</summary>
    public HashSet<(ulong Generation, ulong Lsn)> PlantedDigests { get; } = [];

    public long Time { get; private set; }

    public bool Faulty => Time < _faultsEnd;

    public bool MachineEnded { get; set; }

    /// <summary>The VM may not be lost: nobody who could go on has died.</summary>
    public bool MustSurvive { get; private set; } = true;

    public SortedSet<string> HaltedHosts { get; } = new(StringComparer.Ordinal);

    /// <summary>Whoever runs the VM for the outside: its owner, else whoever believes so.</summary>
    public ProtocolHost? Primary => Hosts.FirstOrDefault(host => host.IsLive && Owns(host)) ?? Hosts.FirstOrDefault(host => host.IsLive);

    /// <summary>Whoever is the backup, or is about to be: not live, and a replica.</summary>
    public ProtocolHost? Backup => Hosts.FirstOrDefault(host => host.IsHeir(World.Newest!.Generation)) ?? Hosts.FirstOrDefault(host => host.Replica is not null && !host.IsLive);

    public ProtocolHost? Find(string name) => Hosts.FirstOrDefault(host => host.Name == name);

    public void Note(string host, TimelineKind kind, object what, string? to = null) => _journal.Add(Time, host, kind, what, to);

    public void Count(string what) => _journal.Count(what);

    public void Effect(FaultKind kind) => _journal.Effect(kind);

    public void CrashedAt(NamedMoment moment) => _journal.CrashedAt(moment);

    public void Moment(NamedMoment moment, ProtocolHost host)
    {
        _journal.Reached(moment);
        if (moment is not (NamedMoment.BetweenAckAndRelease or NamedMoment.CloneRound))
        {
            Note(host.Name, TimelineKind.Moment, ScenarioNames.Of(moment));
        }
        Faults.Reached(moment);
    }

    /// <summary>Runs to the end. Throws <see cref="InvariantException"/>.</summary>
    public void Run()
    {
        Faults.Begin();
        Hosts[0].StartSolo();
        foreach (ProtocolHost host in Hosts)
        {
            EveryQuantum(host);
        }
        foreach (ScriptedAction action in OperatorPlanner.Plan(Scenario, Seed))
        {
            ScheduleWorld(action.At.Ticks, () =>
            {
                if (action.Once)
                {
                    OperateOnce(action);
                }
                else
                {
                    Operate(action, action.At.Ticks + (OperatorPatience.Ticks));
                }
            });
        }
        ScheduleWorld(20 * Millisecond, Protect);
        ScheduleWorld(_faultsEnd, Faults.End);
        ScheduleWorld(50 * Millisecond, Watch);
        long stepsMost = StepsLeast + (StepsPerSecondMost * _end / TimeSpan.TicksPerSecond);
        while (!_over && _events.TryDequeue(out var next, out Due due) && due.Time <= _end)
        {
            Time = due.Time;
            if (++_steps > stepsMost)
            {
                throw new InvariantException(Invariant.Bounded, $"{stepsMost} events: somebody talks without end");
            }
            if (next.Host is { } host)
            {
                if (!host.Up || host.Incarnation != next.Incarnation)
                {
                    continue;
                }
                if (host.PausedUntil > Time)
                {
                    Effect(FaultKind.HostPause);
                    _events.Enqueue(next, new Due(host.PausedUntil, due.Order));
                    continue;
                }
            }
            next.Action();
        }
        CheckEnd();
    }

    public void Schedule(ProtocolHost host, long delay, Action action) =>
        _events.Enqueue((host, host.Incarnation, action), new Due(Time + delay, _order++));

    public void ScheduleWorld(long delay, Action action) => _events.Enqueue((null, 0, action), new Due(Time + delay, _order++));

    public void Ask(ProtocolHost host, ulong attempt, bool claims, Func<OwnershipVerdict> question)
    {
        ReplicaCore? asker = host.Replica;
        bool faulty = Faulty;
        long there = 5_000 + _random.Below(95_000);
        long back = 5_000 + _random.Below(95_000);
        back += faulty ? Faults.ArbiterDelay(host) : 0;
        // Storage executes what reached it, even if whoever asked is dead by then.
        ScheduleWorld(there, () =>
        {
            bool away = Faults.ArbiterIsAway(host);
            ulong before = World.Newest?.Generation ?? 0;
            OwnershipVerdict verdict = away && _random.Below(3) > 0 ? OwnershipVerdict.Unreachable : question();
            Survey();
            if (claims && World.Newest!.Generation > before)
            {
                Note(host.Name, TimelineKind.Log, $"owns generation {World.Newest.Generation}");
                if (host.Replica?.Role == ReplicaRole.GoingLive)
                {
                    Moment(NamedMoment.BetweenTestAndSetAndAnnouncement, host);
                }
            }
            if (away)
            {
                verdict = OwnershipVerdict.Unreachable;
                Effect(FaultKind.ArbiterUnreachable);
            }
            if (host.Up)
            {
                Schedule(host, back, () =>
                {
                    // An answer is for the replica that asked, not for the next one on the same host, which counts its attempts anew.
                    if (ReferenceEquals(asker, host.Replica))
                    {
                        host.Step(new ReplicaInput.ArbiterAnswered(attempt, verdict));
                    }
                });
            }
        });
    }

    public void Crash(ProtocolHost host)
    {
        Count($"crash {host.Replica?.Role.ToString() ?? "empty"}");
        host.Crash();
        Survey();
    }

    public void Restart(ProtocolHost host)
    {
        if (host.Up)
        {
            return;
        }
        host.Restart();
        Note(host.Name, TimelineKind.Fault, "starts again");
        EveryQuantum(host);
    }

    public void Halted(ProtocolHost host, HaltReason reason)
    {
        if (reason is HaltReason.ArbiterLost or HaltReason.OwnershipLost or HaltReason.HandedOver)
        {
            HaltedHosts.Add(host.Name);
        }
        Survey();
    }

    private bool Owns(ProtocolHost host) => host.Up && !host.HasFailed && World.Newest is { } newest && newest.Node == host.Name && newest.Incarnation == host.Incarnation;

    /// <summary>
    /// Whether anybody is left who owns the VM or may take it over. If not, two failures have lost it, as the failure model says; unless what was under
    /// way just then entitles a backup after all.
    /// </summary>
    private void Survey()
    {
        if (MustSurvive && !MachineEnded && !Hosts.Any(Owns) && !Hosts.Any(host => host.IsHeir(World.Newest!.Generation)))
        {
            MustSurvive = false;
            Note("", TimelineKind.Log, "nobody is left who may go on: the VM is lost to a second failure");
        }
        else if (!MustSurvive && Hosts.Any(host => host.IsLive && Owns(host)))
        {
            MustSurvive = true;
            Note("", TimelineKind.Log, "it is not: the backup had been entitled by a message under way");
        }
    }

    private void EveryQuantum(ProtocolHost host) => Schedule(host, 10 * Millisecond, () =>
    {
        host.Quantum();
        EveryQuantum(host);
    });

    private static ProtectionOptions WithSmallBuffers(ProtectionOptions options, long bytes) => options with
    {
        LogBytesMax = bytes,
        LogEntriesMax = (int)Math.Clamp(bytes / 32, 8, options.LogEntriesMax),
        BatchBytesMax = (int)Math.Clamp(bytes / 4, 64, options.BatchBytesMax),
        OutputsMax = (int)Math.Clamp(bytes / 16, 32, options.OutputsMax),
    };

    private ProtectionOptions OptionsOf(Scenario scenario)
    {
        ProtectionOptions options = ScenarioRules.ProtectionOf(scenario.Settings) with { OutputsMax = 512, LogEntriesMax = 4096 };
        return Faults.BuffersAreSmall ? WithSmallBuffers(options, Faults.BufferBytes) : options;
    }
}
