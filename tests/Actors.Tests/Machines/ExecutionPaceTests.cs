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
