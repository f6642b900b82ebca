using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;

namespace FtAkka.Actors.Scheduling;

/// <summary>
/// A scheduler that is late by about a millisecond at most, and sleeps when nothing is due. Akka's own looks at its timers every 10 ms or
/// less often, so that a halted guest would be woken as late as that, and its clock be behind as much. Named in akka.hocon.
/// </summary>
public sealed class PreciseScheduler : SchedulerBase, IDisposable
{
    /// <summary>Cancelled timers are cleared away when the queue has grown to twice what it was, but not below this.</summary>
    private const int PurgeMin = 256;

    private sealed record Entry(Action Fire, TimeSpan? Interval, ICancelable? Cancelable);

    private readonly object gate = new();
    // Timers due at the same moment fire in the order in which they were set.
    private readonly PriorityQueue<Entry, (TimeSpan Due, ulong Order)> queue = new();
    private readonly Thread thread;
    private ulong order;
    private int purgeAt = PurgeMin;
    private bool stopped;

    /// <summary>Started by Akka, which passes the configuration of <c>akka.scheduler</c>.</summary>
    public PreciseScheduler(Config scheduler, ILoggingAdapter log)
        : base(scheduler, log)
    {
        thread = new Thread(Work) { IsBackground = true, Name = "scheduler" };
        thread.Start();
    }

    /// <summary>Timers in the queue, cancelled ones that have not been cleared away included.</summary>
    public int PendingCount
    {
        get
        {
            lock (gate)
            {
                return queue.Count;
            }
        }
    }

    /// <inheritdoc/>
    protected override DateTimeOffset TimeNow => DateTimeOffset.UtcNow;

    /// <inheritdoc/>
    public override TimeSpan MonotonicClock => HighResMonotonicClock;

    /// <inheritdoc/>
    public override TimeSpan HighResMonotonicClock => Stopwatch.GetElapsedTime(0);

    /// <inheritdoc/>
    protected override void InternalScheduleTellOnce(TimeSpan delay, ICanTell receiver, object message, IActorRef sender, ICancelable cancelable) =>
        Add(delay, null, () => receiver.Tell(message, sender), cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleTellRepeatedly(
        TimeSpan initialDelay, TimeSpan interval, ICanTell receiver, object message, IActorRef sender, ICancelable cancelable) =>
        Add(initialDelay, interval, () => receiver.Tell(message, sender), cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleOnce(TimeSpan delay, Action action, ICancelable cancelable) =>
        Add(delay, null, action, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, Action action, ICancelable cancelable) =>
        Add(initialDelay, interval, action, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleOnce(TimeSpan delay, IRunnable action, ICancelable cancelable) =>
        Add(delay, null, action.Run, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, IRunnable action, ICancelable cancelable) =>
        Add(initialDelay, interval, action.Run, cancelable);

    /// <summary>Stops; timers that are not due yet never fire.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            stopped = true;
            queue.Clear();
            Monitor.Pulse(gate);
        }
        if (Thread.CurrentThread != thread)
        {
            thread.Join();
        }
    }

    private void Add(TimeSpan delay, TimeSpan? interval, Action fire, ICancelable? cancelable)
    {
        TimeSpan due = HighResMonotonicClock + (delay > TimeSpan.Zero ? delay : TimeSpan.Zero);
        lock (gate)
        {
            if (stopped)
            {
                throw new SchedulerException("The scheduler has been stopped with its actor system.");
            }
            if (queue.Count >= purgeAt)
            {
                Purge();
            }
            bool isNext = !queue.TryPeek(out _, out (TimeSpan Due, ulong) first) || due < first.Due;
            queue.Enqueue(new Entry(fire, interval, cancelable), (due, order++));
            if (isNext)
            {
                Monitor.Pulse(gate);
            }
        }
    }

    private void Purge()
    {
        (Entry Entry, (TimeSpan, ulong) Priority)[] live = [.. queue.UnorderedItems.Where(item => item.Element.Cancelable?.IsCancellationRequested != true)];
        queue.Clear();
        queue.EnqueueRange(live);
        purgeAt = Math.Max(PurgeMin, live.Length * 2);
    }

    private void Work()
    {
        while (NextDue() is { } entry)
        {
            if (entry.Cancelable?.IsCancellationRequested == true)
            {
                continue;
            }
            try
            {
                entry.Fire();
            }
#pragma warning disable CA1031 // A failing action of one caller must not end the timers of all others; it is reported.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                Log.Error(failure, "A scheduled action failed");
            }
        }
    }

    /// <summary>Waits for the next timer and takes it; null when the scheduler has been stopped.</summary>
    private Entry? NextDue()
    {
        lock (gate)
        {
            while (!stopped)
            {
                if (!queue.TryPeek(out Entry? entry, out (TimeSpan Due, ulong) first))
                {
                    Monitor.Wait(gate);
                    continue;
                }
                TimeSpan wait = first.Due - HighResMonotonicClock;
                if (wait > TimeSpan.Zero)
                {
                    Monitor.Wait(gate, (int)Math.Min(Math.Ceiling(wait.TotalMilliseconds), int.MaxValue));
                    continue;
                }
                queue.Dequeue();
                if (entry.Interval is { } interval && entry.Cancelable?.IsCancellationRequested != true)
                {
                    // After a time in which the process did not run, once is enough.
                    TimeSpan next = first.Due + interval;
                    queue.Enqueue(entry, (next > HighResMonotonicClock ? next : HighResMonotonicClock + interval, order++));
                }
                return entry;
            }
            return null;
        }
    }
}
