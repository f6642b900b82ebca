using Akka.Actor;
using FtAkka.Actors.Machines;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>How far the guest's clock may be behind the host's, judged by a clock that stands while the real host does something else.</summary>
public sealed class ScriptedTimeTests() : TinyVm(ScriptedTime.TypeName)
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(1.5);

    private ScriptedProcessor? processor;

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(50)]
    [InlineData(3000)]
    public void Busy_guests_clock_is_behind_by_what_the_host_takes_away_and_no_more(int stallMilliseconds)
    {
        var stall = TimeSpan.FromMilliseconds(stallMilliseconds);
        MachineReport report = Run("workload=compute rounds=1000000000", executeMilliseconds: 100, stallEvery: 29, stall);
        Assert.True(processor!.Stalls > 10, $"{processor.Stalls} stalls");
        Assert.InRange(report.ClockLagMax, stall, stall + Bound);
        int late = stallMilliseconds >= 10 ? processor.Stalls : 0;
        // The last stall's advance may be left to do.
        Assert.InRange((int)report.ClockAdvancesLate, Math.Max(late - 1, 0), late);
        Assert.True(report.ClockAdvances >= 100 / Bound.TotalMilliseconds, $"{report.ClockAdvances} advances in 100 ms of execution");
    }

    [Fact]
    public void Idle_guest_is_woken_when_its_timer_is_due()
    {
        const int Ticks = 40;
        var period = TimeSpan.FromMilliseconds(20);
        MachineReport report = Run($"workload=counter count={Ticks} period={period.Ticks * 100}", executeMilliseconds: 0, stallEvery: int.MaxValue, default);
        TimeSpan[] lines = [.. processor!.Lines];
        TimeSpan[] periods = [.. lines.Skip(1).Zip(lines, (next, previous) => next - previous)];
        Assert.True(periods.Length >= Ticks - 1);
        Assert.All(periods, between => Assert.InRange(between, period, period + Bound));
        Assert.True(report.Executing < report.Elapsed / 10, $"a guest that sleeps must not use the CPU: {report.Executing} of {report.Elapsed}");
    }

    private MachineReport Run(string commandLine, ulong executeMilliseconds, int stallEvery, TimeSpan stall)
    {
        Start(Options(commandLine) with
        {
            IcountMax = executeMilliseconds * ScriptedProcessor.InstructionsPerMillisecond,
            CreateRunner = machine => processor = new ScriptedProcessor(machine, (ScriptedTime)Sys.Scheduler, stallEvery, stall),
        });
        return ExpectEnd().Report!;
    }
}
