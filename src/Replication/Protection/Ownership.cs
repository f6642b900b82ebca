namespace FtAkka.Replication.Protection;

/// <summary>Who a replica is.</summary>
/// <param name="Vm">Name of the VM, unique in the cluster.</param>
/// <param name="Node">Name of the node it runs on.</param>
/// <param name="Incarnation">Of the node's process: a node that was restarted has forgotten its replicas and is another owner.</param>
public sealed record ReplicaIdentity(string Vm, string Node, long Incarnation);

/// <summary>One line of the arbiter's record: this replica may act as the VM in this generation. Written once, never changed.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Generation">From 1 on; each is claimed by one replica only.</param>
/// <param name="Node">Owner's node.</param>
/// <param name="Incarnation">Owner's process.</param>
/// <param name="TakenAt">Wall-clock time for people, as the shell gives it; decides nothing.</param>
public sealed record OwnershipRecord(string Vm, ulong Generation, string Node, long Incarnation, string TakenAt)
{
    /// <summary>Whether the record names this replica.</summary>
    public bool Names(ReplicaIdentity replica)
    {
        ArgumentNullException.ThrowIfNull(replica);
        return Vm == replica.Vm && Node == replica.Node && Incarnation == replica.Incarnation;
    }
}

/// <summary>A replica wants to be the only one from <paramref name="Generation"/> on.</summary>
public sealed record OwnershipClaim(ReplicaIdentity Replica, ulong Generation);

/// <summary>How a claim or a check ended.</summary>
public enum OwnershipVerdict
{
    /// <summary>The replica owns the VM.</summary>
    Owned,

    /// <summary>Another replica does, now or in a later generation. Final: halt.</summary>
    Lost,

    /// <summary>The storage did not answer, or failed, or its records are not whole. Nothing is known: ask again.</summary>
    Unreachable,
}

/// <summary>
/// The arbiter's rule. A store offers one atomic operation, <em>create the record of generation N unless it exists</em>, and reading
/// the newest record; what these mean is decided here, for every store alike.
/// </summary>
public static class OwnershipRules
{
    /// <summary>Whether the store must try to create the record of the claim, given the newest record it has.</summary>
    public static bool MustCreate(OwnershipRecord? newest, OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        return (newest?.Generation ?? 0) == claim.Generation - 1;
    }

    /// <summary>
    /// What the newest record says about a claim, after the creation was tried or was not due. A claim whose answer got lost is thus
    /// answered again when it is repeated.
    /// </summary>
    public static OwnershipVerdict Judge(OwnershipRecord? newest, OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        ulong generation = newest?.Generation ?? 0;
        if (generation < claim.Generation)
            return OwnershipVerdict.Unreachable;
        return generation == claim.Generation && newest!.Names(claim.Replica) ? OwnershipVerdict.Owned : OwnershipVerdict.Lost;
    }
}

/// <summary>What an <see cref="ArbiterClient"/> wants or has learnt.</summary>
public abstract record ArbiterStep
{
    /// <summary>Ask the store to create the claim's record; answer with <see cref="ArbiterClient.Answered"/>.</summary>
    public sealed record Claim(ulong Attempt, OwnershipClaim Wanted) : ArbiterStep;

    /// <summary>Ask the store for the newest record, without creating one; answer alike.</summary>
    public sealed record Check(ulong Attempt, OwnershipClaim Held) : ArbiterStep;

    /// <summary>The question is settled.</summary>
    public sealed record Settled(OwnershipVerdict Verdict, OwnershipClaim Question, bool WasCheck) : ArbiterStep;
}

/// <summary>One question at a time to the arbiter, repeated with growing waits until the storage answers. Pure.</summary>
public sealed class ArbiterClient(ReplicaIdentity replica, ProtectionOptions options)
{
    private OwnershipClaim? _question;
    private bool _check;
    private bool _asked;
    private ulong _attempt;
    private Instant _again;
    private TimeSpan _wait;

    /// <summary>A claim is under way: it cannot be taken back, since the storage may hold it already.</summary>
    public bool IsClaiming => _question is not null && !_check;

    /// <summary>A question is under way.</summary>
    public bool IsAsking => _question is not null;

    /// <summary>Answers of "unreachable" in a row.</summary>
    public int Failures { get; private set; }

    /// <summary>Asks for a generation. Replaces a check; a claim under way goes on.</summary>
    public ArbiterStep? Claim(Instant now, ulong generation)
    {
        if (IsClaiming)
            return null;
        return Ask(now, generation, check: false);
    }

    /// <summary>
    /// Asks whether this replica still owns its generation. Replaces an earlier check, whose answer may be from before a pause; a
    /// claim under way goes on and will answer this as well.
    /// </summary>
    public ArbiterStep? Check(Instant now, ulong generation) => IsClaiming ? null : Ask(now, generation, check: true);

    /// <summary>Time has passed.</summary>
    public ArbiterStep? Tick(Instant now)
    {
        if (_question is null || now < _again)
            return null;
        return Send(now);
    }

    /// <summary>The storage has answered, or the shell gave up on it.</summary>
    public ArbiterStep? Answered(Instant now, ulong attempt, OwnershipVerdict verdict)
    {
        if (_question is null || !_asked || attempt != _attempt)
            return null;
        if (verdict == OwnershipVerdict.Unreachable)
        {
            Failures++;
            _asked = false;
            _again = now + _wait;
            _wait = _wait + _wait < options.ArbiterRetryMax ? _wait + _wait : options.ArbiterRetryMax;
            return null;
        }
        var settled = new ArbiterStep.Settled(verdict, _question, _check);
        _question = null;
        Failures = 0;
        return settled;
    }

    private ArbiterStep Ask(Instant now, ulong generation, bool check)
    {
        (_question, _check, _wait, Failures) = (new OwnershipClaim(replica, generation), check, options.ArbiterRetryMin, 0);
        return Send(now);
    }

    private ArbiterStep Send(Instant now)
    {
        _asked = true;
        _again = now + options.ArbiterAnswerMax;
        _attempt++;
        return _check ? new ArbiterStep.Check(_attempt, _question!) : new ArbiterStep.Claim(_attempt, _question!);
    }
}
