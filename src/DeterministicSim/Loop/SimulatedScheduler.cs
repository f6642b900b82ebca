using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Akka's scheduler in virtual time. It must not implement <c>IDateTimeOffsetNowTimeProvider</c>: Akka would then time its
/// cancelables by the wall clock.
/// </summary>
public sealed class SimulatedScheduler : SchedulerBase, IDisposable
{
    /// <summary>The date at virtual time zero.</summary>
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// What is repeated more often than this is repeated at <see cref="Tick"/>: remoting looks after a time-out for acknowledgements every half of
    /// it, and that time-out is set so short (simulation.hocon) that by any clock it is over whenever there is something to acknowledge.
    /// </summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMicroseconds(10);

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(10);

    private readonly SimulationLoop _loop = SimulationLoop.Current;
    private readonly int _system;
    private readonly HostClock _clock;
    private bool _disposed;

    /// <summary>The constructor that Akka calls.</summary>
    public SimulatedScheduler(Config config, ILoggingAdapter log)
        : base(config, log) =>
        // Akka does not say for which system; Simulation.Start makes one at a time and does.
        (_system, _clock) = Simulation.SystemBeingStarted;

    /// <inheritdoc/>
    protected override DateTimeOffset TimeNow => Epoch + _clock.WallClockAt(_loop.Now);

    /// <inheritdoc/>
    public override TimeSpan MonotonicClock => _clock.At(_loop.Now);

    /// <inheritdoc/>
    public override TimeSpan HighResMonotonicClock => _clock.At(_loop.Now);

    /// <inheritdoc/>
    public void Dispose() => _disposed = true;

    /// <inheritdoc/>
    protected override void InternalScheduleTellOnce(
        TimeSpan delay, ICanTell receiver, object message, IActorRef sender, ICancelable cancelable) =>
        Once(delay, () => receiver.Tell(message, sender), cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleTellRepeatedly(TimeSpan initialDelay, TimeSpan interval, ICanTell receiver, object message,
        IActorRef sender, ICancelable cancelable) =>
        Repeatedly(initialDelay, interval, () => receiver.Tell(message, sender), cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleOnce(TimeSpan delay, Action action, ICancelable cancelable) => Once(delay, action, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleOnce(TimeSpan delay, IRunnable action, ICancelable cancelable) =>
        Once(delay, action.Run, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, Action action, ICancelable cancelable) =>
        Repeatedly(initialDelay, interval, action, cancelable);

    /// <inheritdoc/>
    protected override void InternalScheduleRepeatedly(
        TimeSpan initialDelay, TimeSpan interval, IRunnable action, ICancelable cancelable) =>
        Repeatedly(initialDelay, interval, action.Run, cancelable);

    private void Once(TimeSpan delay, Action action, ICancelable? cancelable) =>
        _loop.Schedule(_system, _clock.TrueTime(delay), () =>
        {
            if (!_disposed && cancelable?.IsCancellationRequested != true)
            {
                action();
            }
        });

    private void Repeatedly(TimeSpan delay, TimeSpan interval, Action action, ICancelable? cancelable)
    {
        interval = interval < Shortest ? Tick : interval;
        _loop.Schedule(_system, _clock.TrueTime(delay), () =>
        {
            if (!_disposed && cancelable?.IsCancellationRequested != true)
            {
                action();
                Repeatedly(interval, interval, action, cancelable);
            }
        });
    }
}
