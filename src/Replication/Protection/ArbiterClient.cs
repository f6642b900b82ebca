namespace FtAkka.Replication.Protection;

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
