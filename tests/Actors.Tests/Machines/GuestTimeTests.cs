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
        ClockReading last = Read(vm);
        TimeSpan least = TimeSpan.MaxValue;
        for (int i = 0; i < 40; i++)
        {
            Thread.Sleep(10);
            last = ReadNext(vm, last);
            least = last.Behind < least ? last.Behind : least;
        }
        // Nothing has accumulated: there are still moments at which the guest's clock is no farther behind than it was, however late a busy host makes others.
        AwaitAssert(
            () =>
            {
                last = ReadNext(vm, last);
                Assert.True(last.Behind <= least + Bound, $"behind by {last.Behind}, before by {least}");
            },
            Patience);
        vm.Tell(new MachineProtocol.Stop());
        MachineReport report = ExpectEnd().Report!;
        Assert.True(report.ClockAdvances - report.ClockAdvancesLate >= InTimeAtLeast, $"{report.ClockAdvancesLate} of {report.ClockAdvances} late, up to {report.ClockLagMax}");
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

    private ClockReading ReadNext(IActorRef vm, ClockReading previous)
    {
        ClockReading reading = Read(vm);
        Assert.True(reading.Tsc >= previous.Tsc, "the guest's clock went back");
        return reading;
    }

    /// <summary>Both clocks at one moment between two quanta.</summary>
    private ClockReading Read(IActorRef vm)
    {
        IActorRef test = TestActor;
        IScheduler clock = Sys.Scheduler;
        vm.Tell(new MachineProtocol.Inspect(runner => test.Tell(new ClockReading(clock.HighResMonotonicClock, runner.Machine.Tsc))));
        return ExpectMsg<ClockReading>(Patience);
    }

    /// <param name="Host">The host's monotonic clock.</param>
    /// <param name="Tsc">The guest's, in nanoseconds since its start.</param>
    private sealed record ClockReading(TimeSpan Host, ulong Tsc)
    {
        /// <summary>How far the guest's clock is behind, beside a constant.</summary>
        public TimeSpan Behind => Host - TimeSpan.FromTicks((long)(Tsc / 100));
    }
}
