using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>
/// The guest's clock beside the real host's. A busy host may keep the process waiting at any time for longer than the bound, which shows as
/// lag: what must hold is the order of the clocks, that the lag is within the bound whenever the host lets it, and that nothing accumulates.
/// How much lag there is to be is judged in <see cref="ScriptedTimeTests"/>.
/// </summary>
public sealed class GuestTimeTests : TinyVm
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void Busy_guests_clock_stays_with_the_hosts()
    {
        const ulong InTimeAtLeast = 10;
        IActorRef vm = Start(Options("workload=compute rounds=1000000000"));
        ReadConsole("\n");
        MachineReport report = Report(vm);
        for (int i = 0; i < 40; i++)
        {
            Thread.Sleep(10);
            report = NextReport(vm, report);
        }
        // Nothing has accumulated: there are still advances in time, however many others a busy host makes late meanwhile.
        MachineReport begin = report;
        AwaitAssert(
            () =>
            {
                report = NextReport(vm, report);
                ulong late = report.ClockAdvancesLate - begin.ClockAdvancesLate, all = report.ClockAdvances - begin.ClockAdvances;
                Assert.True(all - late >= InTimeAtLeast, $"{late} of {all} late, up to {report.ClockLagMax}");
            },
            Patience);
        vm.Tell(new MachineProtocol.Stop());
        ExpectEnd();
    }

    [Fact]
    public void Idle_guest_is_woken_when_its_timer_is_due_not_before_and_not_much_later()
    {
        const int Attempts = 10;
        var seen = new List<string>();
        while (seen.Count < Attempts)
        {
            TimeSpan[] periods = PeriodsOfAnIdleGuest(ticks: 40, periodMilliseconds: 20);
            // The later half: a lag that grows shows there. A test thread that got no processor receives lines in one bunch, which tells nothing.
            TimeSpan[] later = periods[(periods.Length / 2)..];
            if (later.Any(period => period > TimeSpan.FromMilliseconds(20) - Bound && period < TimeSpan.FromMilliseconds(20) + Bound))
            {
                return;
            }
            seen.Add(string.Join(", ", periods));
        }
        Assert.Fail($"Never in time in {Attempts} runs:\n{string.Join('\n', seen)}");
    }

    private TimeSpan[] PeriodsOfAnIdleGuest(int ticks, int periodMilliseconds)
    {
        Start(Options($"workload=counter count={ticks} period={periodMilliseconds * 1_000_000}"));
        var times = new List<TimeSpan>();
        IScheduler clock = Sys.Scheduler;
        while (times.Count < ticks)
        {
            ConsoleOutput output = ConsoleDevice.ExpectMsg<ConsoleOutput>(Patience);
            times.AddRange(output.Bytes.Where(value => value == '\n').Select(_ => clock.HighResMonotonicClock));
        }
        MachineReport report = ExpectEnd().Report!;
        Assert.True(report.Exits[MachineExitReason.Idle] >= (ulong)ticks, $"{report.Exits[MachineExitReason.Idle]} halts");
        // Counted, not timed: the host may take the processor away while the guest executes.
        int runs = report.Exits.Values.Sum(count => (int)count);
        Assert.True(runs < 20 * ticks, $"a guest that sleeps must not use the CPU, and was run {runs} times");
        // The machine's own time, not that of the messages.
        Assert.True(report.Elapsed >= TimeSpan.FromMilliseconds((ticks - 2) * periodMilliseconds), $"the guest slept too short: {report.Elapsed}");
        return [.. times.Skip(1).Zip(times, (next, previous) => next - previous)];
    }

    private MachineReport NextReport(IActorRef vm, MachineReport previous)
    {
        MachineReport report = Report(vm);
        Assert.True(report.Tsc >= previous.Tsc, "the guest's clock went back");
        Assert.True(report.Tsc <= report.HostTsc, "the guest's clock is ahead of the host's");
        return report;
    }

    private MachineReport Report(IActorRef vm)
    {
        vm.Tell(new MachineProtocol.GetReport());
        return FishForMessage<MachineReport>(_ => true, Patience);
    }
}
