using System.Collections.Immutable;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>Whether VMs that have lost their backup get a new one without a person, and where.</summary>
public sealed record AutoProtectOptions
{
    /// <summary>Whether a backup that was lost is replaced. One that diverged is, in any case, on the same node.</summary>
    public bool Enabled { get; init; }

    /// <summary>Nodes that may have a new backup, the first that lives first; empty for any peer.</summary>
    public ImmutableArray<string> Nodes { get; init; } = [];

    /// <summary>Wait before the first try; doubles with each try in vain.</summary>
    public TimeSpan Delay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Longest wait. A backup that has stood for so long makes the next wait the shortest again.</summary>
    public TimeSpan DelayMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Of the peers that live, those that may have a new backup, the first choice first.</summary>
    public string[] Choices(IReadOnlyList<string> alive) => [.. Nodes.IsEmpty ? alive : Nodes.Where(alive.Contains)];
}

/// <summary>
/// Decides when a VM without a backup is copied again, and to which node. A VM wants a backup once it was given one, until an operator takes it
/// away. A clone in vain and a backup that is lost soon after make the next try wait longer. Pure.
/// </summary>
public sealed class Reprotection(AutoProtectOptions options)
{
    private bool wanted;
    private string? diverged;
    private TimeSpan wait = options.Delay;
    private TimeSpan due = TimeSpan.MaxValue;
    private TimeSpan? protectedSince;
    private int tries;

    /// <summary>The VM is to have a backup, from now on.</summary>
    public void Want() => wanted = true;

    /// <summary>An operator took the backup away.</summary>
    public void Forget() => (wanted, diverged, due) = (false, null, TimeSpan.MaxValue);

    /// <summary>The VM goes on without the backup that it had on this node.</summary>
    public void Lost(DropCause cause, string node)
    {
        if (cause == DropCause.Unprotected)
        {
            Forget();
        }
        diverged = cause == DropCause.Diverged ? node : null;
    }

    /// <summary>Looks at a live replica, often.</summary>
    /// <param name="now">Monotonic clock.</param>
    /// <param name="role">Its role.</param>
    /// <param name="isProtected">Its backup can take over.</param>
    /// <param name="alive">Peers that were heard lately, in order of names.</param>
    /// <returns>The node to copy it to now, or null.</returns>
    public string? Look(TimeSpan now, ReplicaRole role, bool isProtected, IReadOnlyList<string> alive)
    {
        if (isProtected)
        {
            protectedSince ??= now;
            due = TimeSpan.MaxValue;
            if (now - protectedSince >= options.DelayMax)
            {
                (wait, tries) = (options.Delay, 0);
            }
            return null;
        }
        protectedSince = null;
        if (role != ReplicaRole.Solo || !wanted || (diverged is null && !options.Enabled))
        {
            return null;
        }
        if (due == TimeSpan.MaxValue)
        {
            due = now + wait;
        }
        if (now < due || Choose(alive) is not { } node)
        {
            return null;
        }
        tries++;
        wait = wait + wait < options.DelayMax ? wait + wait : options.DelayMax;
        due = now + wait;
        return node;
    }

    private string? Choose(IReadOnlyList<string> alive)
    {
        if (diverged is { } same && (alive.Contains(same) || !options.Enabled))
        {
            return alive.Contains(same) ? same : null;
        }
        string[] candidates = options.Choices(alive);
        // Another one after a try in vain.
        return candidates.Length == 0 ? null : candidates[tries % candidates.Length];
    }
}
