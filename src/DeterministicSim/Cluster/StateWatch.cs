using FtAkka.DeterministicSim.Reports;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Counts states of replicas (<see cref="RunState"/>) as they are entered: by what cores decide, what replicas send, and what hosts were at when they crash.</summary>
internal sealed class StateWatch(ClusterWorld world)
{
    private const StopReasons Held = StopReasons.ReplayOutputsFull;
    private const int Settling = 3;

    private static readonly (StopReasons Stop, RunState State)[] Live =
        [(StopReasons.LogFull, RunState.LogFull), (StopReasons.OutputsFull, RunState.OutputsFull), (StopReasons.Lag, RunState.LagStop)];

    private readonly SortedDictionary<string, StopReasons> _stops = new(StringComparer.Ordinal);
    private SimulatedHost? _source;
    private SimulatedHost? _copying;
    private string _target = "";
    private int _phase;
    private bool _bothFull;

    /// <summary>How often each was entered.</summary>
    public SortedDictionary<RunState, long> Reached { get; } = [];

    /// <summary>The host to which this one copies its VM; null if it does not.</summary>
    public SimulatedHost? CopyTarget(SimulatedHost source) => source == _source && PhaseOfCopy() is not null ? world.Host(_target) : null;

    /// <summary>A replica has decided something, and has not done it yet.</summary>
    public void Stepped(SimulatedHost host, ReplicaRole role, IReadOnlyList<ReplicaEffect> effects)
    {
        foreach (ReplicaEffect effect in effects)
        {
            switch (effect)
            {
                case ReplicaEffect.RoleChanged changed:
                    role = changed.To;
                    if (role == ReplicaRole.CloningPrimary || host == _copying)
                    {
                        _copying = role == ReplicaRole.CloningPrimary ? host : null;
                    }
                    if (changed.To == ReplicaRole.GoingLive && _stops.GetValueOrDefault(host.Name).HasFlag(Held))
                    {
                        Reach(RunState.GoesLiveHeld, host);
                    }
                    break;
                case ReplicaEffect.SetPace pace:
                    Paced(host, role, pace.Stop);
                    break;
                case ReplicaEffect.Reissue { Requests.Length: > 1 }:
                    Reach(RunState.RequestsAtTakeOver, host);
                    break;
                case ReplicaEffect.HaltReplica:
                    _stops.Remove(host.Name);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>A replica sends to its peer.</summary>
    public void Sent(SimulatedHost host, string node, IChannelMessage message)
    {
        switch (message)
        {
            case CloneOffer:
                (_source, _target, _phase) = (host, node, 0);
                break;
            case ClonePages when host == _source && _phase == 0:
                _phase = 1;
                break;
            case CloneFinish when host == _source:
                _phase = 2;
                break;
            case CloneAssembled when host.Name == _target:
                _phase = Settling;
                break;
            case LogAppend append when append.Frames.Length > world.Faults.LogBytesMax:
                Reach(RunState.EntryBeyondBuffer, host);
                break;
            default:
                break;
        }
    }

    /// <summary>A host is about to crash.</summary>
    public void Crashing(SimulatedHost host)
    {
        if ((host == _source || host.Name == _target) && PhaseOfCopy() is { } phase)
        {
            Reach((host == _source ? RunState.SourceCrashOffered : RunState.TargetCrashOffered) + phase, host);
            (_source, _copying) = (null, null);
        }
        if (world.Hosts.Any(other => other.Replica is { } replica && _stops.GetValueOrDefault(other.Name).HasFlag(StopReasons.HandingOver)
            && (other == host || replica.Status.Peer == host.Name)))
        {
            Reach(RunState.CrashInHandOver, host);
        }
        _stops.Remove(host.Name);
    }

    /// <summary>Offered, copying, finishing, settling; null when there is no copy under way.</summary>
    private int? PhaseOfCopy() => _source is null ? null
        : _source == _copying ? _phase
        : _source.Replica?.Status is { Role: ReplicaRole.ProtectedPrimary, CanTakeOver: false } status && status.Peer == _target ? Settling : null;

    private void Paced(SimulatedHost host, ReplicaRole role, StopReasons stop)
    {
        StopReasons entered = stop & ~_stops.GetValueOrDefault(host.Name);
        _stops[host.Name] = stop;
        foreach ((StopReasons reason, RunState state) in Live)
        {
            if (entered.HasFlag(reason))
            {
                Reach(state == RunState.OutputsFull && role != ReplicaRole.ProtectedPrimary ? RunState.OutputsFullAlone : state, host);
            }
        }
        if (entered.HasFlag(Held))
        {
            Reach(role == ReplicaRole.GoingLive ? RunState.ReplayHeldGoingLive : RunState.ReplayHeld, host);
        }
        bool both = _stops.Values.Any(one => one.HasFlag(StopReasons.OutputsFull)) && _stops.Values.Any(one => one.HasFlag(Held));
        if (both && !_bothFull)
        {
            Reach(RunState.BothGatesFull, host);
        }
        _bothFull = both;
    }

    private void Reach(RunState state, SimulatedHost host)
    {
        Reached[state] = Reached.GetValueOrDefault(state) + 1;
        if (world.KeepsTimeline)
        {
            world.Tell(host.Name, TimelineKind.Moment, state.ToString());
        }
    }
}
