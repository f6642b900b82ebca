using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using FtAkka.Actors.Scheduling;

namespace FtAkka.Actors.Tests.Scheduling;

public sealed class PreciseSchedulerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly PreciseScheduler scheduler = new(Config.Empty, NoLogger.Instance);

    public void Dispose() => scheduler.Dispose();

    private static TimeSpan Ms(double milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    [Fact]
    public void Timers_fire_in_the_order_of_their_moments_and_never_early()
    {
        var fired = new BlockingCollection<(int Delay, TimeSpan Late)>();
        TimeSpan start = scheduler.HighResMonotonicClock;
        foreach (int delay in new[] { 500, 0, 5, 5, 250 })
        {
            ((IActionScheduler)scheduler).ScheduleOnce(Ms(delay), () => fired.Add((delay, scheduler.HighResMonotonicClock - start - Ms(delay))));
        }
        (int Delay, TimeSpan Late)[] order = [.. Enumerable.Range(0, 5).Select(_ => Take(fired))];
        Assert.Equal([0, 5, 5, 250, 500], order.Select(timer => timer.Delay));
        Assert.All(order, timer => Assert.True(timer.Late >= TimeSpan.Zero, $"{timer.Delay} ms was early by {-timer.Late}"));
    }

    [Fact]
    public void Precision_is_about_a_millisecond()
    {
        var lateness = new List<TimeSpan>();
        using var done = new SemaphoreSlim(0);
        for (int i = 0; i < 50; i++)
        {
            TimeSpan due = scheduler.HighResMonotonicClock + Ms(3);
            ((IActionScheduler)scheduler).ScheduleOnce(Ms(3), () =>
            {
                lateness.Add(scheduler.HighResMonotonicClock - due);
                done.Release();
            });
            Assert.True(done.Wait(Patience));
        }
        // A busy host may be late at times, not most of the time.
        Assert.True(lateness.Count(late => late < Ms(5)) > 25, string.Join(", ", lateness));
    }

    [Fact]
    public void Cancelled_timers_do_not_fire_and_do_not_pile_up()
    {
        var fired = new BlockingCollection<(int, TimeSpan)>();
        for (int i = 0; i < 10_000; i++)
        {
            using var cancelable = new Cancelable((IActionScheduler)scheduler);
            ((IActionScheduler)scheduler).ScheduleOnce(Ms(60_000), () => fired.Add((1, default)), cancelable);
            cancelable.Cancel();
        }
        using var soon = new Cancelable((IActionScheduler)scheduler);
        soon.Cancel();
        ((IActionScheduler)scheduler).ScheduleOnce(Ms(10), () => fired.Add((1, default)), soon);
        ((IActionScheduler)scheduler).ScheduleOnce(Ms(30), () => fired.Add((2, default)));
        Assert.Equal(2, Take(fired).Item1);
        Assert.Empty(fired);
        Assert.True(scheduler.PendingCount < 1000, $"{scheduler.PendingCount} timers pending");
    }

    [Fact]
    public void Repeated_timer_repeats_until_cancelled_and_survives_a_failing_action()
    {
        var fired = new BlockingCollection<(int, TimeSpan)>();
        using var cancelable = new Cancelable((IActionScheduler)scheduler);
        ((IActionScheduler)scheduler).ScheduleOnce(Ms(1), () => throw new InvalidOperationException("told to fail"));
        ((IActionScheduler)scheduler).ScheduleRepeatedly(Ms(2), Ms(2), () => fired.Add((1, default)), cancelable);
        for (int i = 0; i < 5; i++)
        {
            Take(fired);
        }
        cancelable.Cancel();
        Thread.Sleep(20);
        int count = fired.Count;
        Thread.Sleep(20);
        Assert.Equal(count, fired.Count);
    }

    [Fact]
    public void Stopped_scheduler_takes_no_more_timers()
    {
        scheduler.Dispose();
        Assert.Throws<SchedulerException>(() => ((IActionScheduler)scheduler).ScheduleOnce(Ms(1), () => { }));
    }

    private static (int Delay, TimeSpan Late) Take(BlockingCollection<(int, TimeSpan)> fired)
    {
        Assert.True(fired.TryTake(out (int, TimeSpan) timer, Patience));
        return timer;
    }
}
