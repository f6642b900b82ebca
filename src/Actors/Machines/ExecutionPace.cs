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

    /// <summary>Over how much execution the speed is averaged: a few turns of a busy host's scheduler.</summary>
    private static readonly TimeSpan SpeedWindow = TimeSpan.FromMilliseconds(100);

    private ulong? limit;
    private int share = 100;
    private double speed = InstructionsAtStart / Quantum.TotalMilliseconds;
    private double allowance;
    private TimeSpan allowanceAt;

    /// <summary>Instructions in a quantum at present, without regard to the limit.</summary>
    public ulong QuantumInstructions { get; private set; } = InstructionsAtStart;

    /// <summary>Instructions per millisecond that may be executed on average; null for no limit, 0 for none at all.</summary>
    public ulong? Limit => share >= 100 ? limit : Math.Min(limit ?? ulong.MaxValue, share == 0 ? 0 : Math.Max(1, (ulong)(speed * share / 100)));

    /// <summary>Sets the limit from now on.</summary>
    public void SetLimit(ulong? instructionsPerMillisecond, TimeSpan now)
    {
        BeginChange(now);
        limit = instructionsPerMillisecond;
        allowance = Math.Min(allowance, AllowanceMax);
    }

    /// <summary>
    /// Lets the machine run at this share of the speed that it has when it runs, from now on; below any limit. The speed is measured on the way,
    /// with what the host's other work takes away, so that the share stays the same when that changes.
    /// </summary>
    /// <param name="percent">100: without regard to this; 0: nothing runs.</param>
    /// <param name="now">Time.</param>
    public void SetShare(int percent, TimeSpan now)
    {
        BeginChange(now);
        share = Math.Clamp(percent, 0, 100);
        allowance = Math.Min(allowance, AllowanceMax);
    }

    private void BeginChange(TimeSpan now)
    {
        if (Limit is null)
        {
            (allowance, allowanceAt) = (0, now);
        }
        else
        {
            Grow(now);
        }
    }

    /// <summary>Instructions that may run now; 0: wait for <see cref="AllowanceWait"/>, or for another limit.</summary>
    public ulong Budget(TimeSpan now)
    {
        if (Limit is not { } rate)
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
        if (Limit is not null)
        {
            allowance -= instructions;
        }
        if (elapsed > TimeSpan.Zero && instructions > 0)
        {
            speed += ((instructions / elapsed.TotalMilliseconds) - speed) * Math.Min(1, elapsed / SpeedWindow);
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

    private double AllowanceMax => (double)(Limit ?? 0) * SavingsMax.TotalMilliseconds;

    private void Grow(TimeSpan now)
    {
        double elapsed = (now - allowanceAt).TotalMilliseconds;
        allowance = Math.Min(allowance + (elapsed * (Limit ?? 0)), AllowanceMax);
        allowanceAt = now;
    }
}
