using FtAkka.Actors.Machines;

namespace FtAkka.Actors.Tests.Machines;

public sealed class ExecutionPaceTests
{
    private static TimeSpan Ms(double milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    [Theory]
    [InlineData(80_000.0)]     // a slow host under load
    [InlineData(3_000_000.0)]  // a fast one
    public void Quantum_becomes_what_the_machine_does_in_its_time(double instructionsPerMillisecond)
    {
        var pace = new ExecutionPace();
        for (int i = 0; i < 40; i++)
        {
            ulong budget = pace.Budget(Ms(i));
            pace.Ran(budget, Ms(budget / instructionsPerMillisecond));
        }
        double expected = instructionsPerMillisecond * ExecutionPace.Quantum.TotalMilliseconds;
        Assert.InRange(pace.QuantumInstructions, expected * 0.9, expected * 1.1);
    }

    [Fact]
    public void Quantum_survives_one_preempted_run_and_runs_that_halt_at_once()
    {
        var pace = new ExecutionPace();
        ulong before = pace.QuantumInstructions;
        pace.Ran(10, Ms(0.001)); // the guest halted
        Assert.Equal(before, pace.QuantumInstructions);
        pace.Ran(before, Ms(500));
        Assert.InRange(pace.QuantumInstructions, before / 8, before);
        for (int i = 0; i < 5; i++)
        {
            pace.Ran(pace.QuantumInstructions, ExecutionPace.Quantum * pace.QuantumInstructions / before / 2); // twice as fast as at first
        }
        Assert.True(pace.QuantumInstructions > before, $"{pace.QuantumInstructions} after recovery");
    }

    [Fact]
    public void Clock_that_stands_still_changes_nothing()
    {
        var pace = new ExecutionPace();
        ulong before = pace.QuantumInstructions;
        pace.Ran(before, TimeSpan.Zero);
        Assert.Equal(before, pace.QuantumInstructions);
    }

    [Fact]
    public void Limit_holds_on_average_whatever_the_timers_do()
    {
        var pace = new ExecutionPace();
        pace.SetLimit(5000, Ms(0));
        ulong executed = 0;
        // Timers come after 1 to 3 ms.
        for (double now = 0; now < 1000; now += 1 + (executed % 3))
        {
            while (pace.Budget(Ms(now)) is > 0 and var budget)
            {
                executed += budget;
                pace.Ran(budget, TimeSpan.Zero);
            }
        }
        Assert.InRange(executed, 4_900_000UL, 5_000_000UL);
    }

    [Fact]
    public void Savings_of_an_idle_guest_are_bounded()
    {
        var pace = new ExecutionPace();
        pace.SetLimit(1000, Ms(0));
        ulong executed = 0;
        while (pace.Budget(Ms(100_000)) is > 0 and var budget)
        {
            executed += budget;
            pace.Ran(budget, TimeSpan.Zero);
        }
        Assert.Equal(10_000UL, executed);
    }

    /// <summary>A machine of a certain speed whose host takes its thread away now and then; percent of the time it ran.</summary>
    private static double ShareUsed(ExecutionPace pace, double instructionsPerMs, int from, int to, Random random)
    {
        double now = from, ran = 0;
        while (now < to)
        {
            ulong budget = pace.Budget(Ms(now));
            if (budget == 0)
            {
                now += 1;
                continue;
            }
            double stolen = random.Next(20) == 0 ? random.NextDouble() * 4 : 0;
            double took = (budget / instructionsPerMs) + stolen;
            pace.Ran(budget, Ms(took));
            (now, ran) = (now + took, ran + took);
        }
        return ran * 100 / (now - from);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(50)]
    [InlineData(96)]
    public void Share_is_a_share_of_the_time_also_on_a_busy_host_and_when_the_speed_changes(int percent)
    {
        var random = new Random(1);
        var pace = new ExecutionPace();
        ShareUsed(pace, 800_000, 0, 1000, random);
        pace.SetShare(percent, Ms(1000));
        Assert.InRange(ShareUsed(pace, 800_000, 1500, 6000, random), percent * 0.6, Math.Min(100, percent * 1.5));
        Assert.InRange(ShareUsed(pace, 50_000, 7000, 12000, random), percent * 0.6, Math.Min(100, percent * 1.5));
        pace.SetShare(100, Ms(12000));
        Assert.InRange(ShareUsed(pace, 50_000, 12001, 13000, random), 99, 101);
    }

    [Fact]
    public void Limit_of_zero_lets_nothing_run_and_no_limit_everything()
    {
        var pace = new ExecutionPace();
        pace.SetLimit(0, Ms(0));
        Assert.Equal(0UL, pace.Budget(Ms(1000)));
        pace.SetLimit(null, Ms(1000));
        Assert.Equal(pace.QuantumInstructions, pace.Budget(Ms(1000)));
    }
}
