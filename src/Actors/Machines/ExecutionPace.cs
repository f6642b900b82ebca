namespace FtAkka.Actors.Machines;

/// <summary>
/// Decides how many instructions the next quantum has. Without a limit: as many as the machine has lately executed in a fraction of a
/// millisecond, so that messages wait no longer than that. With a limit: no more than the allowance that has grown with time. Pure; times are readings of one
/// monotonic clock.
/// </summary>
public sealed class ExecutionPace
{
    /// <summary>
    /// Aim for the length of a quantum. Well below the millisecond that messages and the guest's clock may wait, because guests change their speed
    /// without notice: copying with REP executes twenty times as many instructions per second as code that patches itself.
    /// </summary>
    public static readonly TimeSpan Quantum = TimeSpan.FromMilliseconds(0.25);

    /// <summary>How long a machine waits for its allowance to grow.</summary>
    public static readonly TimeSpan AllowanceWait = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// Allowance that may be saved up under a limit, as time. Covers the coarseness of timers; a VM that was idle does not sprint for long.
    /// </summary>
    public static readonly TimeSpan SavingsMax = TimeSpan.FromMilliseconds(10);

    /// <summary>Least and most instructions in a quantum without a limit.</summary>
    public const ulong InstructionsMin = 10_000, InstructionsMax = 64_000_000;

    private const ulong InstructionsAtStart = 100_000;

    /// <summary>A shorter run says little about speed.</summary>
    private static readonly TimeSpan TellingRun = TimeSpan.FromMicroseconds(50);

    private ulong? limit;
    private double allowance;
    private TimeSpan allowanceAt;

    /// <summary>Instructions in a quantum at present, without regard to the limit.</summary>
    public ulong QuantumInstructions { get; private set; } = InstructionsAtStart;

    /// <summary>Instructions per millisecond that may be executed on average; null for no limit, 0 for none at all.</summary>
    public ulong? Limit => limit;

    /// <summary>Sets the limit from now on.</summary>
    public void SetLimit(ulong? instructionsPerMillisecond, TimeSpan now)
    {
        if (limit is null)
        {
            (allowance, allowanceAt) = (0, now);
        }
        else
        {
            Grow(now);
        }
        limit = instructionsPerMillisecond;
        allowance = Math.Min(allowance, AllowanceMax);
    }

    /// <summary>Instructions that may run now; 0: wait for <see cref="AllowanceWait"/>, or for another limit.</summary>
    public ulong Budget(TimeSpan now)
    {
        if (limit is not { } rate)
        {
            return QuantumInstructions;
        }
        Grow(now);
        // Many quanta of few instructions would cost more than they execute.
        ulong worthwhile = Math.Max(1, Math.Min(rate, InstructionsMin));
        return allowance < worthwhile ? 0 : Math.Min((ulong)allowance, QuantumInstructions);
    }

    /// <summary>Learns from a quantum.</summary>
    /// <param name="instructions">Instructions executed.</param>
    /// <param name="elapsed">Time it took; zero under a simulator's clock, which stands still during execution.</param>
    public void Ran(ulong instructions, TimeSpan elapsed)
    {
        if (limit is not null)
        {
            allowance -= instructions;
        }
        if (elapsed < TellingRun && instructions < QuantumInstructions)
        {
            return;
        }
        if (elapsed <= TimeSpan.Zero)
        {
            return;
        }
        double measured = instructions * (Quantum / elapsed);
        // Down at once, since the next quantum would be as long; but a quantum that was preempted says little, hence the bounds.
        double next = measured < QuantumInstructions
            ? Math.Max(measured, QuantumInstructions / 8.0)
            : Math.Min((QuantumInstructions + measured) / 2, QuantumInstructions * 2.0);
        QuantumInstructions = (ulong)Math.Clamp(next, InstructionsMin, InstructionsMax);
    }

    private double AllowanceMax => (limit ?? 0) * SavingsMax.TotalMilliseconds;

    private void Grow(TimeSpan now)
    {
        double elapsed = (now - allowanceAt).TotalMilliseconds;
        allowance = Math.Min(allowance + (elapsed * (limit ?? 0)), AllowanceMax);
        allowanceAt = now;
    }
}
