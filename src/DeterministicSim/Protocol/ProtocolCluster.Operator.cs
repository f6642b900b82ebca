using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>What operators do, and how a run ends.</summary>
internal sealed partial class ProtocolCluster
{
    private const long OperatorInterval = 50 * Millisecond;
    private const long SettledTicks = 1_500 * Millisecond;
    private const long LostTicks = 3_000 * Millisecond;
    private const long LeaveTicks = 10_000 * Millisecond;
    private const long DownTicks = 500 * Millisecond;

    /// <summary>Disk requests that a healthy VM may have under way at once.</summary>
    public const int PendingMost = 64;

    private int _attempts;
    private ulong _protectedGeneration;
    private bool _over;

    /// <summary>How long an operator repeats what the cluster is not ready for.</summary>
    public static TimeSpan OperatorPatience { get; } = TimeSpan.FromSeconds(10);

    /// <summary>Who is live and may act, if exactly one is.</summary>
    private ProtocolHost? Survivor
    {
        get
        {
            ProtocolHost[] live = [.. Hosts.Where(host => host.IsLive && (host.Replica!.Fence == FenceTime.Open || host.Replica.Role == ReplicaRole.ProtectedPrimary))];
            return live.Length == 1 ? live[0] : null;
        }
    }

    public Outcome Outcome()
    {
        ProtocolHost? live = Survivor;
        return new Outcome
        {
            Live = live?.Name,
            Generation = World.Newest!.Generation,
            Protected = live?.Replica!.Status(live.Now).Protected ?? false,
            Ended = MachineEnded,
            Lost = !MustSurvive && !MachineEnded,
            Halted = [.. HaltedHosts],
            Effects = _journal.Effects(),
            Moments = _journal.Moments(),
        };
    }

    /// <summary>Protects a VM that is not: the first time always, later where the scenario says so. Takes the first host that is free, another each time it failed.</summary>
    private void Protect()
    {
        if ((_protectedGeneration == 0) || Scenario.AutoProtect)
        {
            ProtocolHost[] free = [.. Hosts.Where(host => host.Up && host.Replica is null)];
            ProtocolHost? solo = Hosts.FirstOrDefault(host => host.Replica?.Role == ReplicaRole.Solo && host.PausedUntil <= Time && Owns(host));
            if (solo is not null && free.Length > 0 && _random.Below(3) == 0)
            {
                ulong generation = solo.Replica!.Generation;
                _attempts = generation == _protectedGeneration ? _attempts + 1 : 0;
                _protectedGeneration = generation;
                ProtocolHost backup = free[_attempts % free.Length];
                Note(solo.Name, TimelineKind.Operator, $"protect onto {backup.Name}");
                solo.Step(new ReplicaInput.Protect(backup.Name));
            }
        }
        ScheduleWorld(20 * Millisecond, Protect);
    }

    private void Operate(ScriptedAction action, long until)
    {
        if (MachineEnded || Time > until)
        {
            return;
        }
        if (!TryOperate(action))
        {
            ScheduleWorld(OperatorInterval, () => Operate(action, until));
            return;
        }
        Note(Primary?.Name ?? "", TimelineKind.Operator, $"{ScenarioNames.Of(action.Action)} {action.Host}".TrimEnd());
    }

    /// <summary>False while the cluster is not ready for it.</summary>
    private bool TryOperate(ScriptedAction action)
    {
        if (Primary is not { } primary || primary.PausedUntil > Time || !Owns(primary))
        {
            return false;
        }
        ReplicaCore replica = primary.Replica!;
        switch (action.Action)
        {
            case OperatorAction.Protect:
                if (replica.Role != ReplicaRole.Solo || Find(action.Host) is not { Up: true, Replica: null })
                {
                    return false;
                }
                primary.Step(new ReplicaInput.Protect(action.Host));
                return true;
            case OperatorAction.Unprotect:
                if (replica.Role == ReplicaRole.Solo)
                {
                    return false;
                }
                primary.Step(new ReplicaInput.Unprotect());
                return true;
            case OperatorAction.Failover:
                if (!replica.Status(primary.Now).CanTakeOver)
                {
                    return false;
                }
                primary.Step(new ReplicaInput.PlannedFailover());
                return true;
            case OperatorAction.Reset:
                primary.Press(ControlOperation.Reset);
                return true;
            default:
                primary.Press(ControlOperation.PowerOff);
                return true;
        }
    }

    /// <summary>
    /// Gives a replica what a node would give it at once, whether or not it is ready for it. Starts, and what a node refuses by itself, mean nothing without nodes.
    /// </summary>
    private void OperateOnce(ScriptedAction action)
    {
        ProtocolHost? host = action.On switch
        {
            "" or FaultCatalog.Primary => Primary,
            FaultCatalog.Backup => Backup,
            _ => Find(action.On),
        };
        if (MachineEnded || !Faulty || host is not { Up: true, Replica: { } replica } || host.PausedUntil > Time)
        {
            return;
        }
        ReplicaInput? input = action.Action switch
        {
            OperatorAction.Protect when Find(action.Host) is { Up: true, Replica: null } => new ReplicaInput.Protect(action.Host),
            OperatorAction.Unprotect => new ReplicaInput.Unprotect(),
            OperatorAction.Failover => new ReplicaInput.PlannedFailover(),
            OperatorAction.NodeStop when replica.Role is ReplicaRole.ProtectedPrimary or ReplicaRole.Backup or ReplicaRole.BackupSyncing => new ReplicaInput.Leave(),
            _ => null,
        };
        bool isButton = action.Action is OperatorAction.Reset or OperatorAction.PowerOff && host.IsLive;
        if (input is null && !isButton)
        {
            return;
        }
        Note(host.Name, TimelineKind.Operator, ScenarioPrinter.Print(action));
        if (input is not null)
        {
            host.Step(input);
        }
        else
        {
            host.Press(action.Action == OperatorAction.Reset ? ControlOperation.Reset : ControlOperation.PowerOff);
        }
        if (input is ReplicaInput.Leave)
        {
            Stop(host, host.Incarnation, Time + LeaveTicks);
        }
    }

    /// <summary>A node that leaves is stopped when its replica has ended, and starts again.</summary>
    private void Stop(ProtocolHost host, long incarnation, long until)
    {
        if (!host.Up || host.Incarnation != incarnation || Time > until)
        {
            return;
        }
        if (host.Replica is not null)
        {
            ScheduleWorld(OperatorInterval, () => Stop(host, incarnation, until));
            return;
        }
        Note(host.Name, TimelineKind.Operator, "has stopped in order");
        Crash(host);
        ScheduleWorld(DownTicks, () => Restart(host));
    }

    /// <summary>Ends the run when nothing more can happen: settled after the last fault, switched off, or lost, with time for stale replicas to do harm.</summary>
    private void Watch()
    {
        Survey();
        bool gone = MachineEnded || !MustSurvive;
        _lostSince = !gone ? -1 : _lostSince < 0 ? Time : _lostSince;
        bool settled = !Faulty && Survivor is { } live && (!Scenario.AutoProtect || live.Replica!.Status(live.Now).Protected);
        _settledSince = !settled ? -1 : _settledSince < 0 ? Time : _settledSince;
        _over = (gone && Time - _lostSince > LostTicks) || (settled && Time - _settledSince > SettledTicks);
        ScheduleWorld(50 * Millisecond, Watch);
    }

    private void CheckEnd()
    {
        if (MachineEnded)
        {
            Count("end: switched off");
        }
        else if (!MustSurvive && !Hosts.Any(host => host.IsLive))
        {
            Count("end: lost to two failures");
        }
        else
        {
            CheckAlive();
        }
        if (Expectations.FirstUnmet(Scenario, Outcome()) is { } unmet)
        {
            throw new InvariantException(Invariant.Expected, unmet);
        }
    }

    private void CheckAlive()
    {
        string hosts = string.Join(", ", Hosts.Select(host => $"{host.Name} {(host.Up ? host.Replica?.Role.ToString() ?? "empty" : "down")}{(host.LastHalt is { } halt ? $" (halted: {halt})" : "")}"));
        if (Survivor is not { } survivor)
        {
            if (!MustSurvive)
            {
                // Somebody believes to be live, and cannot act: the VM was lost, and its last host cannot know.
                Count("end: lost to two failures");
                return;
            }
            throw new InvariantException(Invariant.Liveness, $"nobody is live, or more than one: {hosts}; newest owner: {World.Newest}");
        }
        ReplicaStatus status = survivor.Replica!.Status(survivor.Now);
        bool canBeProtected = Hosts.Count(host => host.Up) > 1;
        if (Scenario.AutoProtect && canBeProtected && !status.Protected)
        {
            throw new InvariantException(Invariant.Liveness, $"not protected again at the end: {hosts}; {status}");
        }
        World.CheckSurvivor(survivor.Machine!);
        World.CheckEnd(survivor.Machine!, status.LastReleased, survivor.MustLeave);
        if (survivor.Machine!.Pending.Count > PendingMost)
        {
            throw new InvariantException(Invariant.Bounded, $"{survivor.Machine.Pending.Count} disk requests are never answered");
        }
        Count("end: live");
        Count(World.Repeated > 0 ? "outputs repeated" : "no output repeated");
    }
}
