using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>
/// The guest's clock beside the host's. A test host may stop the process at any time for longer than the bound, which shows as lag: what
/// must hold is that most of the time it is within the bound, and that nothing accumulates.
/// </summary>
public sealed class GuestTimeTests : TinyVm
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void Busy_guests_clock_stays_with_the_hosts()
    {
        IActorRef vm = Start(Options("workload=compute rounds=1000000000"));
        ReadConsole("\n");
        var lags = new List<TimeSpan>();
        ulong last = 0;
        for (int i = 0; i < 60; i++)
        {
            Thread.Sleep(10);
            vm.Tell(new MachineProtocol.GetReport());
            MachineReport report = FishForMessage<MachineReport>(_ => true, Patience);
            Assert.True(report.Tsc >= last, "the guest's clock went back");
            Assert.True(report.Tsc <= report.HostTsc, "the guest's clock is ahead of the host's");
            last = report.Tsc;
            lags.Add(TimeSpan.FromSeconds((report.HostTsc - report.Tsc) / 1e9));
        }
        vm.Tell(new MachineProtocol.Stop());
        ExpectEnd();
        int within = lags.Count(lag => lag <= Bound);
        Assert.True(within * 2 > lags.Count, $"only {within} of {lags.Count} samples within {Bound.TotalMilliseconds} ms: {string.Join(", ", lags)}");
    }

    [Fact]
    public void Idle_guest_is_woken_when_its_timer_is_due_not_before_and_not_much_later()
    {
        const int Ticks = 40, PeriodMilliseconds = 20;
        IActorRef vm = Start(Options($"workload=counter count={Ticks} period={PeriodMilliseconds * 1_000_000}"));
        var times = new List<TimeSpan>();
        IScheduler clock = Sys.Scheduler;
        while (times.Count < Ticks)
        {
            ConsoleOutput output = ConsoleDevice.ExpectMsg<ConsoleOutput>(Patience);
            times.AddRange(output.Bytes.Where(value => value == '\n').Select(_ => clock.HighResMonotonicClock));
        }
        VmDone(vm);
        TimeSpan[] periods = [.. times.Skip(1).Zip(times, (next, previous) => next - previous)];
        TimeSpan total = times[^1] - times[0];
        Assert.True(total >= TimeSpan.FromMilliseconds((Ticks - 2) * PeriodMilliseconds), $"the guest slept too short: {total}");
        int within = periods.Count(period => period < TimeSpan.FromMilliseconds(PeriodMilliseconds) + Bound);
        Assert.True(within * 2 > periods.Length, $"only {within} of {periods.Length} wake-ups in time: {string.Join(", ", periods)}");
    }

    private void VmDone(IActorRef vm)
    {
        MachineReport report = ExpectEnd().Report!;
        Assert.True(report.Exits[FtAkka.Machine.MachineExitReason.Idle] > 0);
        Assert.True(report.Executing < report.Elapsed / 2, "a guest that sleeps must not use the CPU");
        Assert.NotNull(vm);
    }
}
