using System.Collections.Immutable;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Virtio.Block;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>Carries out a plan of faults.</summary>
internal sealed class ProtocolFaults
{
    /// <summary>Entries that a backup of full speed replays in a quantum.</summary>
    public const int ReplayEntriesUsual = 64;

    private const int FlapTicksLeast = 200_000;
    private const int FlapTicksMost = 2_000_000;

    private readonly ProtocolCluster _cluster;
    private readonly ImmutableArray<Fault> _plan;
    private readonly SimulatedRandom _random;
    private readonly List<Fault> _armed;
    private readonly List<(Action Undo, bool[] Done)> _active = [];
    private readonly List<(Fault Fault, string Host)> _onHosts = [];
    private int _wrongDigests;

    public ProtocolFaults(ProtocolCluster cluster, ImmutableArray<Fault> plan)
    {
        (_cluster, _plan) = (cluster, plan);
        _random = SimulatedRandom.Stream(cluster.Seed, "faults");
        _armed = [.. plan.Where(fault => fault.Moment is not null)];
        BuffersAreSmall = plan.Any(fault => fault.Kind == FaultKind.LogBufferFull);
    }

    /// <summary>Whether the run's buffers are as small as a fault asks. They are of one size for the whole run: both replicas must agree on it.</summary>
    public bool BuffersAreSmall { get; }

    /// <summary>Room of the log's buffer in bytes, where it is small; that of outputs goes with it.</summary>
    public long BufferBytes => _plan.Where(fault => fault.Kind == FaultKind.LogBufferFull).Min(FaultCatalog.Of(FaultKind.LogBufferFull).MagnitudeOf);

    /// <summary>Entries that a backup replays in a quantum now.</summary>
    public int ReplayEntries { get; private set; } = ReplayEntriesUsual;

    /// <summary>The kinds that mean something without a machine, disks and actors around the protocol.</summary>
    public static bool Knows(FaultKind kind) => kind is not (FaultKind.DiskTornWrite or FaultKind.DiskLostWrite or FaultKind.ClockJump or FaultKind.ConnectionReset or FaultKind.SmallLimits
        or FaultKind.DiskNotThere);

    public void Begin()
    {
        foreach (Fault fault in _plan.Where(fault => fault.Moment is null && Knows(fault.Kind)))
        {
            if (fault.Kind == FaultKind.ClockSkew)
            {
                Strike(fault);
            }
            else
            {
                _cluster.ScheduleWorld(fault.At.Ticks, () => Strike(fault));
            }
        }
    }

    /// <summary>From now on nothing fails any more. What crashed for good stays down.</summary>
    public void End()
    {
        foreach (var (undo, done) in _active)
        {
            Undo(undo, done);
        }
        _armed.Clear();
        _wrongDigests = 0;
        foreach (ProtocolHost host in _cluster.Hosts)
        {
            host.PausedUntil = Math.Min(host.PausedUntil, _cluster.Time);
        }
    }

    /// <summary>A moment was reached: armed faults strike, behind the event that reached it.</summary>
    public void Reached(NamedMoment moment)
    {
        for (int i = 0; i < _armed.Count; i++)
        {
            Fault fault = _armed[i];
            if (fault.Moment != moment || fault.At.Ticks > _cluster.Time || !_cluster.Faulty)
            {
                continue;
            }
            _armed.RemoveAt(i--);
            _cluster.ScheduleWorld(0, () => Strike(fault));
        }
    }

    public bool TakeWrongDigest()
    {
        if (_wrongDigests == 0)
        {
            return false;
        }
        _wrongDigests--;
        return true;
    }

    public bool DiskFails(ProtocolHost host, DiskRequestKind kind)
    {
        foreach (var (fault, name) in _onHosts)
        {
            bool strikes = fault.Kind == FaultKind.DiskFailure || (fault.Kind == FaultKind.DiskFull && kind == DiskRequestKind.Write);
            if (strikes && Concerns(name, host))
            {
                _cluster.Effect(fault.Kind);
                return true;
            }
        }
        return false;
    }

    public long DiskDelay(ProtocolHost host) => Delay(FaultKind.DiskSlow, host);

    public long ArbiterDelay(ProtocolHost host) => Delay(FaultKind.ArbiterSlow, host);

    public bool ArbiterIsAway(ProtocolHost host) => _onHosts.Exists(one => one.Fault.Kind == FaultKind.ArbiterUnreachable && Concerns(one.Host, host));

    private long Delay(FaultKind kind, ProtocolHost host)
    {
        long ticks = 0;
        foreach (var (fault, name) in _onHosts)
        {
            if (fault.Kind == kind && Concerns(name, host))
            {
                long most = FaultCatalog.Of(kind).MagnitudeOf(fault) * TimeSpan.TicksPerMicrosecond;
                ticks = Math.Max(ticks, most == 0 ? 0 : (long)(_random.Next() % (ulong)most));
            }
        }
        if (ticks > 0)
        {
            _cluster.Effect(kind);
        }
        return ticks;
    }

    private static bool Concerns(string name, ProtocolHost host) => name.Length == 0 || name == host.Name;

    private void Strike(Fault fault)
    {
        if (!_cluster.Faulty)
        {
            return;
        }
        ProtocolHost? target = Resolve(fault.Target);
        ProtocolHost? other = Resolve(fault.Other);
        FaultScope scope = FaultCatalog.Of(fault.Kind).Scope;
        bool nobody = (target is null && (scope is FaultScope.Host or FaultScope.Link || fault.Target.Length > 0)) || (scope == FaultScope.Link && (other is null || other == target));
        string text = ScenarioPrinter.Print(fault);
        _cluster.Note(target?.Name ?? "", TimelineKind.Fault, nobody ? $"{text}: nobody is that now" : text, other?.Name);
        if (nobody)
        {
            return;
        }
        switch (fault.Kind)
        {
            case FaultKind.HostCrash:
                Crash(fault, target!);
                break;
            case FaultKind.HostPause:
                target!.PausedUntil = Math.Max(target.PausedUntil, _cluster.Time + fault.Duration.Ticks);
                break;
            case FaultKind.Partition:
                Cut(fault, target!, other!, bothWays: true);
                break;
            case FaultKind.OneWayPartition:
                Cut(fault, target!, other!, bothWays: false);
                break;
            case FaultKind.FlappingPartition:
                Flap(fault, target!, other!, _cluster.Time + fault.Duration.Ticks);
                break;
            case FaultKind.FrameLoss or FaultKind.FrameDuplication or FaultKind.FrameCorruption or FaultKind.FrameReordering:
                ChangeNetwork(fault, Math.Max(1, FaultCatalog.Of(fault.Kind).MagnitudeOf(fault)));
                break;
            case FaultKind.FrameDelay:
                ChangeNetwork(fault, FaultCatalog.Of(fault.Kind).MagnitudeOf(fault) * TimeSpan.TicksPerMicrosecond);
                break;
            case FaultKind.ClockSkew:
                target!.Clock.Skew(Math.Abs(FaultCatalog.Of(fault.Kind).MagnitudeOf(fault)) * TimeSpan.TicksPerMicrosecond);
                _cluster.Effect(FaultKind.ClockSkew);
                break;
            case FaultKind.ClockDrift:
                target!.Clock.Drift(_cluster.Time, FaultCatalog.Of(fault.Kind).MagnitudeOf(fault));
                _cluster.Effect(FaultKind.ClockDrift);
                Until(fault, () => target.Clock.Drift(_cluster.Time, 0));
                break;
            case FaultKind.BackupSlow:
                ReplayEntries = (int)Math.Max(1, ReplayEntriesUsual * FaultCatalog.Of(fault.Kind).MagnitudeOf(fault) / 100);
                Until(fault, () => ReplayEntries = ReplayEntriesUsual);
                break;
            case FaultKind.DigestWrong:
                _wrongDigests++;
                break;
            case FaultKind.ShellThrows when target!.MayFail && target.PausedUntil <= _cluster.Time:
                _cluster.Effect(FaultKind.ShellThrows);
                target.Fail();
                break;
            case FaultKind.DiskSlow or FaultKind.DiskFailure or FaultKind.DiskFull or FaultKind.ArbiterSlow or FaultKind.ArbiterUnreachable:
                _onHosts.Add((fault, target?.Name ?? ""));
                Until(fault, () => _onHosts.Remove((fault, target?.Name ?? "")));
                break;
            default:
                break;
        }
    }

    private ProtocolHost? Resolve(string name) => name switch
    {
        "" => null,
        // Before the beginning, the roles are those that the hosts are about to have.
        FaultCatalog.Primary when _cluster.World.Newest is null => _cluster.Hosts[0],
        FaultCatalog.Backup when _cluster.World.Newest is null => _cluster.Hosts[1],
        FaultCatalog.Primary => _cluster.Primary,
        FaultCatalog.Backup => _cluster.Backup,
        _ => _cluster.Find(name),
    };

    private void Crash(Fault fault, ProtocolHost host)
    {
        if (!host.Up)
        {
            return;
        }
        _cluster.Effect(FaultKind.HostCrash);
        if (fault.Moment is { } moment)
        {
            _cluster.CrashedAt(moment);
        }
        _cluster.Crash(host);
        if (fault.Duration > TimeSpan.Zero)
        {
            _cluster.ScheduleWorld(fault.Duration.Ticks, () => _cluster.Restart(host));
        }
    }

    private void Cut(Fault fault, ProtocolHost one, ProtocolHost other, bool bothWays)
    {
        CutNow(fault.Kind, one, other, bothWays);
        Until(fault, () => MendNow(fault.Kind, one, other, bothWays));
    }

    private void CutNow(FaultKind kind, ProtocolHost one, ProtocolHost other, bool bothWays)
    {
        _cluster.Network.Cut(one.Name, other.Name, kind);
        if (bothWays)
        {
            _cluster.Network.Cut(other.Name, one.Name, kind);
        }
    }

    private void MendNow(FaultKind kind, ProtocolHost one, ProtocolHost other, bool bothWays)
    {
        _cluster.Network.Mend(one.Name, other.Name, kind);
        if (bothWays)
        {
            _cluster.Network.Mend(other.Name, one.Name, kind);
        }
    }

    private void Flap(Fault fault, ProtocolHost one, ProtocolHost other, long end)
    {
        if (_cluster.Time >= end || !_cluster.Faulty)
        {
            return;
        }
        long cut = FlapTicksLeast + _random.Below(FlapTicksMost - FlapTicksLeast);
        long mended = FlapTicksLeast + _random.Below(FlapTicksMost - FlapTicksLeast);
        Cut(fault with { Duration = new TimeSpan(cut) }, one, other, bothWays: true);
        _cluster.ScheduleWorld(cut + mended, () => Flap(fault, one, other, end));
    }

    private void ChangeNetwork(Fault fault, long by)
    {
        _cluster.Network.Change(fault.Kind, by);
        Until(fault, () => _cluster.Network.Change(fault.Kind, -by));
    }

    /// <summary>Undoes what a fault did when its duration is over, or with all others.</summary>
    private void Until(Fault fault, Action undo)
    {
        bool[] done = [false];
        _active.Add((undo, done));
        if (fault.Duration > TimeSpan.Zero)
        {
            _cluster.ScheduleWorld(fault.Duration.Ticks, () => Undo(undo, done));
        }
    }

    private static void Undo(Action undo, bool[] done)
    {
        if (!done[0])
        {
            done[0] = true;
            undo();
        }
    }
}
