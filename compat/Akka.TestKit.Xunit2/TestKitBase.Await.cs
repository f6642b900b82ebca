using Xunit;

namespace Akka.TestKit;

public abstract partial class TestKitBase
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Runs <paramref name="action"/>, which must end within <paramref name="max"/>; expectations inside wait no longer than that.</summary>
    public void Within(TimeSpan max, Action action, TimeSpan? epsilonValue = null, CancellationToken cancellationToken = default) =>
        Within(TimeSpan.Zero, max, action, null, epsilonValue, cancellationToken);

    /// <summary>As the other overload; it must not end before <paramref name="min"/> either.</summary>
    public void Within(TimeSpan min, TimeSpan max, Action action, string? hint = null, TimeSpan? epsilonValue = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(action);
        Within(min, max, () => { action(); return true; }, hint, epsilonValue, cancellationToken);
    }

    /// <summary>As the other overload, with a result.</summary>
    public T Within<T>(TimeSpan max, Func<T> function, TimeSpan? epsilonValue = null, CancellationToken cancellationToken = default) =>
        Within(TimeSpan.Zero, max, function, null, epsilonValue, cancellationToken);

    /// <summary>As the other overload, with a result.</summary>
    public T Within<T>(TimeSpan min, TimeSpan max, Func<T> function, string? hint = null, TimeSpan? epsilonValue = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(function);
        cancellationToken.ThrowIfCancellationRequested();
        DateTime start = DateTime.UtcNow;
        DateTime? endBefore = end;
        end = Earlier(endBefore, start + Dilated(max));
        try
        {
            T result = function();
            CheckElapsed(DateTime.UtcNow - start, min, Dilated(max) + (epsilonValue ?? TimeSpan.Zero), hint);
            return result;
        }
        finally
        {
            end = endBefore;
        }
    }

    /// <inheritdoc cref="Within(TimeSpan, Action, TimeSpan?, CancellationToken)"/>
    public async Task WithinAsync(TimeSpan max, Func<Task> actionAsync, TimeSpan? epsilonValue = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(actionAsync);
        cancellationToken.ThrowIfCancellationRequested();
        DateTime start = DateTime.UtcNow;
        DateTime? endBefore = end;
        end = Earlier(endBefore, start + Dilated(max));
        try
        {
            await actionAsync();
            CheckElapsed(DateTime.UtcNow - start, TimeSpan.Zero, Dilated(max) + (epsilonValue ?? TimeSpan.Zero), null);
        }
        finally
        {
            end = endBefore;
        }
    }

    /// <summary>Waits until <paramref name="conditionIsFulfilled"/> holds.</summary>
    public void AwaitCondition(Func<bool> conditionIsFulfilled, CancellationToken cancellationToken = default) =>
        AwaitCondition(conditionIsFulfilled, null, null, null, cancellationToken);

    /// <summary>Waits until <paramref name="conditionIsFulfilled"/> holds, at most <paramref name="max"/>.</summary>
    public void AwaitCondition(Func<bool> conditionIsFulfilled, TimeSpan? max, string? message = null, CancellationToken cancellationToken = default) =>
        AwaitCondition(conditionIsFulfilled, max, null, message, cancellationToken);

    /// <summary>Waits until <paramref name="conditionIsFulfilled"/> holds, looking every <paramref name="interval"/>.</summary>
    public void AwaitCondition(Func<bool> conditionIsFulfilled, TimeSpan? max, TimeSpan? interval, string? message = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(conditionIsFulfilled);
        DateTime deadline = DateTime.UtcNow + RemainingOrDilated(max);
        while (!conditionIsFulfilled())
        {
            Assert.True(DateTime.UtcNow < deadline, $"Timed out while waiting for a condition. {message}");
            Pause(interval, cancellationToken);
        }
    }

    /// <inheritdoc cref="AwaitCondition(Func{bool}, TimeSpan?, string?, CancellationToken)"/>
    public async Task AwaitConditionAsync(Func<Task<bool>> conditionIsFulfilled, TimeSpan? max = null, string? message = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(conditionIsFulfilled);
        DateTime deadline = DateTime.UtcNow + RemainingOrDilated(max);
        while (!await conditionIsFulfilled())
        {
            Assert.True(DateTime.UtcNow < deadline, $"Timed out while waiting for a condition. {message}");
            await Task.Delay(PollInterval, cancellationToken);
        }
    }

    /// <summary>Repeats <paramref name="assertion"/> until it does not throw; its last exception is thrown when time is up.</summary>
    public void AwaitAssert(Action assertion, TimeSpan? duration = null, TimeSpan? interval = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(assertion);
        DateTime deadline = DateTime.UtcNow + RemainingOrDilated(duration);
        while (true)
        {
            try
            {
                assertion();
                return;
            }
            catch (Exception exception) when (exception is not OperationCanceledException && DateTime.UtcNow < deadline)
            {
                Pause(interval, cancellationToken);
            }
        }
    }

    /// <inheritdoc cref="AwaitAssert"/>
    public Task AwaitAssertAsync(Action assertion, TimeSpan? duration = null, TimeSpan? interval = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(assertion);
        return AwaitAssertAsync(() => { assertion(); return Task.CompletedTask; }, duration, interval, cancellationToken);
    }

    /// <inheritdoc cref="AwaitAssert"/>
    public async Task AwaitAssertAsync(Func<Task> assertion, TimeSpan? duration = null, TimeSpan? interval = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(assertion);
        DateTime deadline = DateTime.UtcNow + RemainingOrDilated(duration);
        while (true)
        {
            try
            {
                await assertion();
                return;
            }
            catch (Exception exception) when (exception is not OperationCanceledException && DateTime.UtcNow < deadline)
            {
                await Task.Delay(interval ?? PollInterval, cancellationToken);
            }
        }
    }

    private static DateTime Earlier(DateTime? left, DateTime right) => left is { } time && time < right ? time : right;

    private static void CheckElapsed(TimeSpan elapsed, TimeSpan min, TimeSpan max, string? hint)
    {
        Assert.True(elapsed >= min, $"The block took {elapsed}, less than {min}. {hint}");
        Assert.True(elapsed <= max, $"The block took {elapsed}, more than {max}. {hint}");
    }

    private static void Pause(TimeSpan? interval, CancellationToken cancellationToken)
    {
        if (cancellationToken.WaitHandle.WaitOne(interval ?? PollInterval))
        {
            cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
