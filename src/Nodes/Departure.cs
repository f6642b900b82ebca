using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>What is to be done next for a replica whose node stops in order.</summary>
public enum DepartureAction
{
    /// <summary>Nothing: what was begun goes on.</summary>
    Wait,

    /// <summary>A live VM without a backup is to be copied to a peer.</summary>
    Copy,

    /// <summary>The replica is to leave: a primary hands over to its backup, a copy is given up, a backup says goodbye.</summary>
    Leave,

    /// <summary>The backup could not go live: the VM is to go on without it, so that it can be copied to another peer.</summary>
    Unprotect,

    /// <summary>No peer takes the VM: it is to be switched off.</summary>
    SwitchOff,

    /// <summary>The time is over. The node does not wait for this replica any longer.</summary>
    Late,
}

/// <summary>A step of a <see cref="Departure"/>.</summary>
/// <param name="Action">What is to be done.</param>
/// <param name="Node">Of a copy: the peer that gets it.</param>
/// <param name="InVain">A peer that was tried before has not taken the VM.</param>
public readonly record struct DepartureStep(DepartureAction Action, string? Node = null, bool InVain = false);

/// <summary>
/// How one replica leaves a node that stops in order. A VM with a backup is handed over to it. A live VM without one is copied first, to one peer after the other,
/// and handed over to the first that has taken it. Where none takes it in time, it is switched off. Pure.
/// </summary>
/// <param name="began">When the stop began, by the monotonic clock.</param>
/// <param name="handOverTimeout">Time for a hand-over, and for a backup's goodbye.</param>
/// <param name="copyTimeout">Time for all copies together; zero: a VM without a backup is switched off at once.</param>
public sealed class Departure(TimeSpan began, TimeSpan handOverTimeout, TimeSpan copyTimeout)
{
    private readonly HashSet<string> tried = new(StringComparer.Ordinal);
    private readonly TimeSpan copyUntil = began + copyTimeout;
    private TimeSpan leaveUntil = began + handOverTimeout;
    private ReplicaRole? leaves;
    private bool asked;
    private bool isOver;

    /// <summary>The node does not wait for the replica any longer.</summary>
    public bool IsOver => isOver;

    /// <summary>What the replica was asked for has reached it: its role counts again.</summary>
    public void Settled() => asked = false;

    /// <summary>Looks at the replica, often.</summary>
    /// <param name="now">Monotonic clock.</param>
    /// <param name="role">Its role; null before it has one.</param>
    /// <param name="canHandOver">Of a primary: its backup could go live.</param>
    /// <param name="alive">Peers that may have a backup and were heard lately, the first that lives first.</param>
    public DepartureStep Look(TimeSpan now, ReplicaRole? role, bool canHandOver, IReadOnlyList<string> alive)
    {
        ArgumentNullException.ThrowIfNull(alive);
        if (isOver || asked)
        {
            return new DepartureStep(DepartureAction.Wait);
        }
        return role switch
        {
            ReplicaRole.Solo => LookAlone(now, alive),
            ReplicaRole.CloningPrimary => now < copyUntil ? new DepartureStep(DepartureAction.Wait) : Leave(now, ReplicaRole.CloningPrimary),
            null or ReplicaRole.GoingLive => WaitOrGiveUp(now),
            ReplicaRole.ProtectedPrimary when !canHandOver => Leave(now, ReplicaRole.ProtectedPrimary, DepartureAction.Unprotect),
            _ => Leave(now, role.Value),
        };
    }

    private DepartureStep LookAlone(TimeSpan now, IReadOnlyList<string> alive)
    {
        leaves = null;
        bool inVain = tried.Count > 0;
        if (now >= copyUntil || alive.FirstOrDefault(node => !tried.Contains(node)) is not { } next)
        {
            isOver = true;
            return new DepartureStep(DepartureAction.SwitchOff, InVain: inVain);
        }
        tried.Add(next);
        asked = true;
        return new DepartureStep(DepartureAction.Copy, next, inVain);
    }

    /// <summary>Says once in each role that the replica is to leave, and waits then.</summary>
    private DepartureStep Leave(TimeSpan now, ReplicaRole role, DepartureAction how = DepartureAction.Leave)
    {
        if (leaves == role)
        {
            return WaitOrGiveUp(now);
        }
        (leaves, leaveUntil, asked) = (role, now + handOverTimeout, true);
        return new DepartureStep(how);
    }

    private DepartureStep WaitOrGiveUp(TimeSpan now)
    {
        if (now < leaveUntil)
        {
            return new DepartureStep(DepartureAction.Wait);
        }
        isOver = true;
        return new DepartureStep(DepartureAction.Late);
    }
}
