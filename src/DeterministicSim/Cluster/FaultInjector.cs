using System.Collections.Immutable;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Lets faults begin and end, answers what is wrong at the moment, and counts what took effect.</summary>
internal sealed class FaultInjector
{
    private const int DiskFailurePerMillion = 500_000;
    private const int PerMillion = 50_000;
    private static readonly TimeSpan Median = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan TailMost = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SlowDisk = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan SlowArbiter = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FlapLeast = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan FlapMost = TimeSpan.FromMilliseconds(400);
    private const int MessagesMost = 60;
    /// <summary>The guest's disk writes are larger and fill the bytes, what it prints is smaller and fills the number: either limit is met.</summary>
    private const int BytesPerOutput = 128;
    private static readonly TimeSpan SoonAtTheLatest = TimeSpan.FromMilliseconds(120);
    private static readonly TimeSpan WriteAtTheLatest = TimeSpan.FromMilliseconds(600);
    private static readonly TimeSpan NoDuration = TimeSpan.Zero;

    private sealed record Active(Fault Fault, string Target, string Other)
    {
        /// <summary>A flapping partition cuts now and then.</summary>
        public bool IsCut { get; set; } = true;

        /// <summary>When it struck.</summary>
        public TimeSpan Since { get; set; }
    }

    private sealed class Pending(Active active, int messages, bool atWrite)
    {
        public Active Active { get; } = active;

        public int Messages { get; set; } = messages;

        /// <summary>It waits for a write to be under way, not for messages.</summary>
        public bool AtWrite { get; } = atWrite;
    }

    private readonly ClusterWorld _world;
    private readonly ImmutableArray<Fault> _plan;
    private readonly List<Active> _active = [];
    private readonly List<Fault> _armed = [];
    private readonly List<Pending> _pending = [];
    private readonly SmallLimits? _small;
    private readonly SortedSet<string> _throwing = new(StringComparer.Ordinal);
    private bool _over;

    public FaultInjector(ClusterWorld world, ImmutableArray<Fault> plan)
    {
        (_world, _plan) = (world, plan);
        BuffersAreSmall = plan.Any(fault => fault.Kind == FaultKind.LogBufferFull);
        _small = plan.FirstOrDefault(fault => fault.Kind == FaultKind.SmallLimits) is { } small ? new SmallLimits(FaultCatalog.Of(FaultKind.SmallLimits).MagnitudeOf(small)) : null;
        LogBytesMax = Limit(world.Protection).LogBytesMax;
        foreach (Fault fault in plan)
        {
            if (fault.At > TimeSpan.Zero)
            {
                world.Simulation.Schedule(fault.At, () => Begin(fault));
            }
        }
    }

    /// <summary>Faults that are there from the beginning, before anybody does anything.</summary>
    public void Begin()
    {
        foreach (Fault fault in _plan.Where(fault => fault.At <= TimeSpan.Zero))
        {
            Begin(fault);
        }
    }

    /// <summary>Faults and careless operators have stopped.</summary>
    public bool IsOver => _over;

    /// <summary>A wrong digest is wanted in the log.</summary>
    public bool DigestDue { get; set; }

    /// <summary>Faults stop: hosts are up, processes run, links are whole.</summary>
    public void StopAll()
    {
        _over = true;
        _armed.Clear();
        _pending.Clear();
        _throwing.Clear();
        foreach (Active active in _active.ToArray())
        {
            End(active);
        }
        foreach (SimulatedHost host in _world.Hosts)
        {
            _world.Resume(host);
            if (host.System is null)
            {
                _world.Start(host);
            }
        }
    }

    /// <summary>Something is on that may make a host or a connection look dead. What only a crash would show, and clocks within their limits, may not.</summary>
    public bool DisturbNow => _active.Exists(active => Disturbs(active.Fault.Kind));

    private static bool Disturbs(FaultKind kind) => kind is not (FaultKind.DiskTornWrite or FaultKind.DiskLostWrite or FaultKind.ClockDrift);

    public bool IsOn(FaultKind kind, SimulatedHost? host) => Find(kind, host) is not null;

    /// <summary>How long a fault has been there; null if it is not.</summary>
    public TimeSpan? LastsFor(FaultKind kind, SimulatedHost host) => Find(kind, host) is { } active ? _world.Now - active.Since : null;

    /// <summary>Whether a fault strikes at this very act; if so, it is counted.</summary>
    public bool Strikes(FaultKind kind, SimulatedHost host)
    {
        if (Find(kind, host) is null || (kind == FaultKind.DiskFailure && !_world.Random.Chance(DiskFailurePerMillion)))
        {
            return false;
        }
        _world.Effect(kind, host.Name);
        return true;
    }

    /// <summary>How much longer an act takes; counted if it does.</summary>
    public TimeSpan Delay(FaultKind kind, SimulatedHost host)
    {
        if (Find(kind, host) is not { } active)
        {
            return TimeSpan.Zero;
        }
        TimeSpan delay = active.Fault.Magnitude > 0 ? TimeSpan.FromMicroseconds(active.Fault.Magnitude)
            : kind == FaultKind.DiskSlow ? SlowDisk : SlowArbiter;
        _world.Effect(kind, host.Name);
        return _world.Random.Between(delay / 2, delay * 1.5);
    }

    /// <summary>Whether buffers of the log and of outputs are as small as a fault asks: for the whole run, since a replica has its limits from the beginning.</summary>
    public bool BuffersAreSmall { get; }

    /// <summary>Whether limits of many kinds are small, for the whole run.</summary>
    public bool LimitsAreSmall => _small is not null;

    /// <summary>Bytes that a replica's log may hold.</summary>
    public long LogBytesMax { get; }

    /// <summary>Limits of a copy.</summary>
    public CloneOptions Limit(CloneOptions copy) => _small?.Of(copy) ?? copy;

    /// <summary>Frames that a host's end of the guest's network keeps.</summary>
    public int LimitFrames(int usual) => _small?.FramesOr(usual) ?? usual;

    /// <summary>Limits of a replica.</summary>
    public ProtectionOptions Limit(ProtectionOptions protection)
    {
        protection = _small?.Of(protection) ?? protection;
        if (!BuffersAreSmall)
        {
            return protection;
        }
        long bytes = _plan.Where(fault => fault.Kind == FaultKind.LogBufferFull).Min(FaultCatalog.Of(FaultKind.LogBufferFull).MagnitudeOf);
        return protection with
        {
            LogBytesMax = bytes,
            OutputBytesMax = bytes,
            OutputsMax = (int)Math.Clamp(bytes / BytesPerOutput, 1, protection.OutputsMax),
        };
    }

    /// <summary>Whether the step that a host's replica is in must fail.</summary>
    public bool MustThrow(SimulatedHost host) => _throwing.Count > 0 && _throwing.Remove(host.Name);

    /// <summary>Speed of a backup that is made now, in per cent.</summary>
    public int BackupPercent => Find(FaultKind.BackupSlow, null) is { } active ? (int)(active.Fault.Magnitude > 0 ? active.Fault.Magnitude : 10) : 100;

    /// <summary>A host is about to start. Clocks are off from the beginning, when the roles are those that the hosts are about to have.</summary>
    public void BeforeStart(SimulatedHost host)
    {
        if (host.Incarnation > 0)
        {
            return;
        }
        foreach (Fault fault in _plan.Where(fault => fault.Kind == FaultKind.ClockSkew))
        {
            int role = fault.Target switch { FaultCatalog.Primary => 0, FaultCatalog.Backup => 1, _ => -1 };
            if (fault.Target == host.Name || (role >= 0 && _world.Hosts.IndexOf(host) == role))
            {
                host.Clock.Skew(TimeSpan.FromMicroseconds(fault.Magnitude == 0 ? 50_000 : fault.Magnitude));
                _world.Effect(FaultKind.ClockSkew, host.Name);
            }
        }
    }

    /// <summary>A named moment is reached at a host: whoever waits for it strikes.</summary>
    public void Reached(NamedMoment moment, SimulatedHost host)
    {
        foreach (Fault fault in _armed.Where(fault => fault.Moment == moment).ToArray())
        {
            if (fault.Kind is FaultKind.HostCrash or FaultKind.HostPause && Meant(fault.Target, moment, host) is { } meant)
            {
                _armed.Remove(fault);
                if (fault.Kind == FaultKind.HostCrash)
                {
                    _world.Moments.CrashedAt(moment);
                }
                Strike(new Active(fault, meant.Name, ""));
                return;
            }
        }
    }

    public void FrameSeen(FrameFate fate, string from, string to)
    {
        switch (fate)
        {
            case FrameFate.Lost when Find(FaultKind.FrameLoss, null) is not null:
                _world.Effect(FaultKind.FrameLoss, from);
                break;
            case FrameFate.Duplicated:
                _world.Effect(FaultKind.FrameDuplication, from);
                break;
            case FrameFate.Late:
                _world.Effect(FaultKind.FrameDelay, from);
                break;
            case FrameFate.Overtook:
                _world.Effect(FaultKind.FrameReordering, from);
                break;
            case FrameFate.Corrupted:
                _world.Effect(FaultKind.FrameCorruption, from);
                break;
            case FrameFate.Partitioned:
                if (_active.Find(active => Cuts(active, from, to)) is { } cutting)
                {
                    _world.Effect(cutting.Fault.Kind, from);
                }
                break;
            default:
                break;
        }
    }

    public void ConnectionSeen(ConnectionEvent what, string from, string to)
    {
        _world.Connections[what] = _world.Connections.GetValueOrDefault(what) + 1;
        if (what == ConnectionEvent.ResetOnOneSide)
        {
            _world.Effect(FaultKind.ConnectionReset, from);
        }
        else if (_world.KeepsTimeline)
        {
            _world.Tell(from, Reports.TimelineKind.Log, $"connection {Scenarios.ScenarioNames.Of(what)}: {from} > {to}");
        }
    }

    private Active? Find(FaultKind kind, SimulatedHost? host) =>
        _active.Find(active => active.Fault.Kind == kind && (host is null || active.Target.Length == 0 || active.Target == host.Name));

    private static bool Cuts(Active active, string from, string to) => active.IsCut && active.Fault.Kind switch
    {
        FaultKind.OneWayPartition => Same(active.Target, from) && Same(active.Other, to),
        FaultKind.Partition or FaultKind.FlappingPartition =>
            (Same(active.Target, from) && Same(active.Other, to)) || (Same(active.Target, to) && Same(active.Other, from)),
        _ => false,
    };

    /// <summary>Addresses on the network are in small letters.</summary>
    private static bool Same(string host, string address) => string.Equals(host, address, StringComparison.OrdinalIgnoreCase);

    public void Begin(Fault fault)
    {
        if (_over)
        {
            return;
        }
        if (fault.Moment is not null)
        {
            _armed.Add(fault);
            return;
        }
        string? target = Resolve(fault.Target);
        string? other = Resolve(fault.Other);
        if (target is null || other is null || (target.Length > 0 && target == other))
        {
            return;
        }
        var active = new Active(fault, target, other);
        if (fault.Kind is FaultKind.HostCrash or FaultKind.HostPause && _world.Random.Below(2) == 0)
        {
            StrikeInTheMiddle(active);
        }
        else
        {
            Strike(active);
        }
    }

    /// <summary>
    /// Everything that follows from one event happens at one virtual time. A host that dies or stands still does so between any two messages as
    /// well, not only between events: after some more of them, or soon if there are none. Where storage tears or loses writes, it dies in one.
    /// </summary>
    private void StrikeInTheMiddle(Active active)
    {
        bool atWrite = active.Fault.Kind == FaultKind.HostCrash && LosesWrites(_world.Host(active.Target));
        var pending = new Pending(active, 1 + _world.Random.Below(MessagesMost), atWrite);
        _pending.Add(pending);
        _world.Simulation.Schedule(atWrite ? WriteAtTheLatest : SoonAtTheLatest, () => StrikePending(pending));
    }

    private void StrikePending(Pending pending)
    {
        if (_pending.Remove(pending) && !_over)
        {
            Strike(pending.Active);
        }
    }

    /// <summary>Whether a crash of this host would leave a part of a write, or nothing of it.</summary>
    public bool LosesWrites(SimulatedHost host) => IsOn(FaultKind.DiskTornWrite, host) || IsOn(FaultKind.DiskLostWrite, host);

    /// <summary>A write of this host is under way, for at least a time.</summary>
    public void WriteUnderWay(SimulatedHost host, TimeSpan least)
    {
        foreach (Pending pending in _pending.Where(pending => pending.AtWrite && pending.Active.Target == host.Name).ToArray())
        {
            _world.Simulation.Schedule(_world.Random.Between(TimeSpan.Zero, least), () => StrikePending(pending));
        }
    }

    /// <summary>A message was put into a mailbox of this host.</summary>
    public void MessageSeen(SimulatedHost host)
    {
        if (_pending.Count == 0)
        {
            return;
        }
        foreach (Pending pending in _pending.Where(pending => !pending.AtWrite && pending.Active.Target == host.Name).ToArray())
        {
            if (--pending.Messages == 0)
            {
                StrikePending(pending);
            }
        }
    }

    private void Strike(Active active)
    {
        Fault fault = active.Fault;
        SimulatedHost? host = active.Target.Length > 0 ? _world.Host(active.Target) : null;
        switch (fault.Kind)
        {
            case FaultKind.HostCrash when host!.System is not null:
                _world.Effect(FaultKind.HostCrash, host.Name);
                _world.Crash(host);
                After(fault.Duration, () => Restart(host));
                return;
            case FaultKind.HostPause when host!.IsRunning:
                _world.Effect(FaultKind.HostPause, host.Name);
                _world.Pause(host);
                long paused = host.Incarnation;
                After(fault.Duration, () =>
                {
                    if (host.Incarnation == paused)
                    {
                        _world.Resume(host);
                    }
                });
                return;
            case FaultKind.HostCrash or FaultKind.HostPause or FaultKind.ClockSkew or FaultKind.LogBufferFull or FaultKind.SmallLimits:
                return;
            case FaultKind.ClockJump:
                host!.Clock.Jump(TimeSpan.FromMicroseconds(fault.Magnitude == 0 ? 500_000 : fault.Magnitude));
                host.UnseenJumps++;
                return;
            case FaultKind.DigestWrong:
                DigestDue = true;
                return;
            case FaultKind.ShellThrows when host!.Replica is not null:
                _throwing.Add(host.Name);
                return;
            case FaultKind.ShellThrows:
                return;
            case FaultKind.ConnectionReset:
                _world.Calm.Disturbed();
                _world.Simulation.Network.ResetOneSide(active.Target, active.Other);
                return;
            default:
                break;
        }
        _world.Tell(active.Target, Reports.TimelineKind.Fault, $"{fault.Kind} begins");
        active.Since = _world.Now;
        _active.Add(active);
        NoteDisturbance(active);
        Apply();
        if (fault.Kind == FaultKind.ClockDrift)
        {
            host!.Clock.Drift(_world.Now, fault.Magnitude == 0 ? 5_000 : fault.Magnitude);
            if (host.IsRunning)
            {
                _world.Effect(FaultKind.ClockDrift, host.Name);
            }
        }
        if (fault.Kind == FaultKind.FlappingPartition)
        {
            Flap(active);
        }
        After(fault.Duration, () => End(active));
    }

    private void End(Active active)
    {
        if (!_active.Remove(active))
        {
            return;
        }
        _world.Tell(active.Target, Reports.TimelineKind.Fault, $"{active.Fault.Kind} ends");
        NoteDisturbance(active);
        if (active.Fault.Kind == FaultKind.ClockDrift)
        {
            _world.Host(active.Target).Clock.Drift(_world.Now, 0);
        }
        Apply();
    }

    private void NoteDisturbance(Active active)
    {
        if (Disturbs(active.Fault.Kind))
        {
            // A question to the arbiter that is lost is asked again only then.
            bool losesQuestions = active.Fault.Kind is FaultKind.ArbiterUnreachable or FaultKind.ArbiterSlow;
            _world.Calm.Disturbed(losesQuestions ? _world.Protection.ArbiterAnswerMax : TimeSpan.Zero);
        }
    }

    private void Flap(Active active)
    {
        if (_active.Contains(active))
        {
            active.IsCut = !active.IsCut;
            ApplyCuts();
            _world.Simulation.Schedule(_world.Random.Between(FlapLeast, FlapMost), () => Flap(active));
        }
    }

    private void Restart(SimulatedHost host)
    {
        if (host.System is null && !_over)
        {
            _world.Start(host);
        }
    }

    private void After(TimeSpan duration, Action act)
    {
        if (duration > NoDuration)
        {
            _world.Simulation.Schedule(duration, act);
        }
    }

    private void Apply()
    {
        ApplyCuts();
        var network = _world.Simulation.Network;
        LinkQuality quality = LinkQuality.Lan;
        foreach (Active active in _active)
        {
            int magnitude = active.Fault.Magnitude > 0 ? (int)Math.Min(active.Fault.Magnitude, int.MaxValue) : 0;
            quality = active.Fault.Kind switch
            {
                FaultKind.FrameLoss => quality with { LossPerMillion = magnitude > 0 ? magnitude : PerMillion },
                FaultKind.FrameDuplication => quality with { DuplicationPerMillion = magnitude > 0 ? magnitude : PerMillion },
                FaultKind.FrameCorruption => quality with { CorruptionPerMillion = magnitude > 0 ? magnitude : PerMillion / 5 },
                FaultKind.FrameReordering => quality with { Reorder = true },
                FaultKind.FrameDelay => Slow(quality, magnitude > 0 ? TimeSpan.FromMicroseconds(magnitude) : Median),
                _ => quality,
            };
        }
        network.DefaultQuality = quality;
        _world.Moments.SetBackupPace();
    }

    private static LinkQuality Slow(LinkQuality quality, TimeSpan median) =>
        quality with { DelayLeast = median / 2, DelayMost = median * 1.5, TailPerMillion = 2 * PerMillion, TailMost = TailMost > median ? TailMost : median * 4 };

    private void ApplyCuts()
    {
        var network = _world.Simulation.Network;
        foreach (SimulatedHost from in _world.Hosts)
        {
            foreach (SimulatedHost to in _world.Hosts)
            {
                if (from == to)
                {
                    continue;
                }
                // One that is cut already stays so: what waits there is not let through.
                if (_active.Exists(active => Cuts(active, from.Name, to.Name)))
                {
                    network.CutOneWay(from.Name, to.Name);
                }
                else
                {
                    network.MendOneWay(from.Name, to.Name);
                }
            }
        }
    }

    /// <summary>The host that a fault is meant for; null if there is none at the moment.</summary>
    private string? Resolve(string target) => target switch
    {
        "primary" => _world.Primary?.Host.Name,
        "backup" => _world.Backup?.Host.Name,
        _ => target,
    };

    /// <summary>
    /// A moment names a host itself; a fault for a role strikes if the host has it then, or is about to. A moment of a copy is one of two hosts. Null if it is nobody's.
    /// </summary>
    private SimulatedHost? Meant(string target, NamedMoment moment, SimulatedHost host)
    {
        if (moment is NamedMoment.CloneRound or NamedMoment.FinalSwitch or NamedMoment.Reprotection
            && _world.States.CopyTarget(host) is { } copied && (target == FaultCatalog.Backup || target == copied.Name))
        {
            return copied;
        }
        bool meant = target switch
        {
            // A replica that goes live is both.
            FaultCatalog.Primary => _world.Primary?.Host == host || IsGoingLive(moment),
            FaultCatalog.Backup => _world.Backup?.Host == host || IsGoingLive(moment),
            _ => target == host.Name,
        };
        return meant ? host : null;
    }

    private static bool IsGoingLive(NamedMoment moment) =>
        moment is NamedMoment.Drain or NamedMoment.BetweenTestAndSetAndAnnouncement or NamedMoment.Reissue;
}
