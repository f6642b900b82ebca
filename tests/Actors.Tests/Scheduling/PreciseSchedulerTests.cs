using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using FtAkka.Actors.Scheduling;

namespace FtAkka.Actors.Tests.Scheduling;

public sealed class PreciseSchedulerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly PreciseScheduler scheduler = new(Config.Empty, NoLogger.Instance);

    public void Dispose() => scheduler.Dispose();

    private static TimeSpan Ms(double milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    [Fact]
    public void Timers_fire_in_the_order_of_their_moments_and_never_early()
    {
        int[] delays = [500, 0, 5, 5, 250];
        // A busy host draws out the setting of timers: each is due some time between these moments.
        var earliest = new TimeSpan[delays.Length];
        var latest = new TimeSpan[delays.Length];
        var fired = new BlockingCollection<(int Timer, TimeSpan At)>();
        for (int i = 0; i < delays.Length; i++)
        {
            int timer = i;
            earliest[i] = scheduler.HighResMonotonicClock + Ms(delays[i]);
            ((IActionScheduler)scheduler).ScheduleOnce(Ms(delays[i]), () => fired.Add((timer, scheduler.HighResMonotonicClock)));
            latest[i] = scheduler.HighResMonotonicClock + Ms(delays[i]);
        }
        (int Timer, TimeSpan At)[] order = [.. delays.Select(_ => Take(fired))];
        string all = string.Join(", ", order.Select(one => $"{delays[one.Timer]} ms at {one.At - earliest[0]}"));
        Assert.Equal([0, 1, 2, 3, 4], order.Select(one => one.Timer).Order());
        Assert.True(Array.FindIndex(order, one => one.Timer == 2) < Array.FindIndex(order, one => one.Timer == 3), $"the second of two equal timers was first: {all}");
        Assert.All(order, one => Assert.True(one.At >= earliest[one.Timer], $"{delays[one.Timer]} ms was early: {all}"));
        Assert.All(order.Zip(order.Skip(1)), pair => Assert.True(earliest[pair.First.Timer] <= latest[pair.Second.Timer], $"not in the order of their moments: {all}"));
    }

    [Fact]
    public void Precision_is_about_a_millisecond()
    {
        // A busy host makes any of them late; a scheduler that looks at its timers every ten milliseconds is never in time so often in a row.
        const int InARow = 10;
        var lateness = new List<TimeSpan>();
        using var done = new SemaphoreSlim(0);
        TimeSpan end = scheduler.HighResMonotonicClock + Patience;
        while (lateness.Count < InARow || lateness.TakeLast(InARow).Any(late => late >= Ms(5)))
        {
            Assert.True(scheduler.HighResMonotonicClock < end, string.Join(", ", lateness.TakeLast(100)));
            TimeSpan due = scheduler.HighResMonotonicClock + Ms(3);
            ((IActionScheduler)scheduler).ScheduleOnce(Ms(3), () =>
            {
                lateness.Add(scheduler.HighResMonotonicClock - due);
                done.Release();
            });
            Assert.True(done.Wait(Patience));
        }
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
        AwaitTimer(Ms(0));   // the one that was under way has fired
        int count = fired.Count;
        AwaitTimer(Ms(20));
        Assert.Equal(count, fired.Count);
    }

    [Fact]
    public void Stopped_scheduler_takes_no_more_timers()
    {
        scheduler.Dispose();
        Assert.Throws<SchedulerException>(() => ((IActionScheduler)scheduler).ScheduleOnce(Ms(1), () => { }));
    }

    private void AwaitTimer(TimeSpan delay)
    {
        using var done = new ManualResetEventSlim();
        ((IActionScheduler)scheduler).ScheduleOnce(delay, done.Set);
        Assert.True(done.Wait(Patience));
    }

    private static (int, TimeSpan) Take(BlockingCollection<(int, TimeSpan)> fired)
    {
        Assert.True(fired.TryTake(out (int, TimeSpan) timer, Patience));
        return timer;
    }
}
