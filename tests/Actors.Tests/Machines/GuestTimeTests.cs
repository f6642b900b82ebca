using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>
/// The guest's clock beside the host's. A test host may stop the process at any time for longer than the bound, which shows as lag: what
/// must hold is that it is within the bound whenever the host lets it, and that nothing accumulates.
/// </summary>
public sealed class GuestTimeTests : TinyVm
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void Busy_guests_clock_stays_with_the_hosts()
    {
        IActorRef vm = Start(Options("workload=compute rounds=1000000000"));
        ReadConsole("\n");
        ulong last = 0;
        MachineReport report = default!;
        for (int i = 0; i < 40; i++)
        {
            Thread.Sleep(10);
            vm.Tell(new MachineProtocol.GetReport());
            report = FishForMessage<MachineReport>(_ => true, Patience);
            Assert.True(report.Tsc >= last, "the guest's clock went back");
            Assert.True(report.Tsc <= report.HostTsc, "the guest's clock is ahead of the host's");
            last = report.Tsc;
        }
        vm.Tell(new MachineProtocol.Stop());
        ExpectEnd();
        Assert.True(report.ClockAdvances > 10, $"{report.ClockAdvances} advances");
        // Each time the host takes the CPU away for longer one advance is late; those in between are not.
        Assert.True(report.ClockAdvancesLate * 2 < report.ClockAdvances, $"{report.ClockAdvancesLate} of {report.ClockAdvances} late, up to {report.ClockLagMax}");
    }

    [Fact]
    public void Idle_guest_is_woken_when_its_timer_is_due_not_before_and_not_much_later()
    {
        const int Ticks = 40, PeriodMilliseconds = 20;
        Start(Options($"workload=counter count={Ticks} period={PeriodMilliseconds * 1_000_000}"));
        var times = new List<TimeSpan>();
        IScheduler clock = Sys.Scheduler;
        while (times.Count < Ticks)
        {
            ConsoleOutput output = ConsoleDevice.ExpectMsg<ConsoleOutput>(Patience);
            times.AddRange(output.Bytes.Where(value => value == '\n').Select(_ => clock.HighResMonotonicClock));
        }
        MachineReport report = ExpectEnd().Report!;
        Assert.True(report.Exits[FtAkka.Machine.MachineExitReason.Idle] > 0);
        Assert.True(report.Executing < report.Elapsed / 2, "a guest that sleeps must not use the CPU");
        TimeSpan[] periods = [.. times.Skip(1).Zip(times, (next, previous) => next - previous)];
        // The machine's own time, not that of the messages: a test thread that got no processor receives them in one bunch.
        Assert.True(report.Elapsed >= TimeSpan.FromMilliseconds((Ticks - 2) * PeriodMilliseconds), $"the guest slept too short: {report.Elapsed}");
        int within = periods.Count(period => period < TimeSpan.FromMilliseconds(PeriodMilliseconds) + Bound);
        Assert.True(within * 4 > periods.Length, $"only {within} of {periods.Length} wake-ups in time: {string.Join(", ", periods)}");
    }
}
