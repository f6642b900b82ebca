namespace FtAkka.DeviceActors.Fencing;

/// <summary>
/// Lets devices act only while their replica may (docs/failure-model.md, "Stale primaries"). What may not act now waits, and is dropped when
/// the device closes. Between the look and the act lies the host's own way to the disk or the network, which nothing here can cut short.
/// </summary>
/// <param name="mayAct">Whether devices may act at this moment.</param>
/// <param name="delay">Lets time pass; by default <see cref="Task.Delay(TimeSpan, CancellationToken)"/>.</param>
public sealed class Fence(Func<bool> mayAct, Func<TimeSpan, CancellationToken, Task>? delay = null)
{
    /// <summary>How often a closed fence is looked at.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(1);

    private readonly Func<TimeSpan, CancellationToken, Task> pass = delay ?? Task.Delay;

    /// <summary>Whether devices may act at this moment.</summary>
    public bool IsOpen => mayAct();

    /// <summary>Returns when devices may act.</summary>
    /// <exception cref="OperationCanceledException">Cancelled first.</exception>
    public async Task WaitAsync(CancellationToken cancelled)
    {
        while (!mayAct())
        {
            await pass(Look, cancelled).ConfigureAwait(true);
        }
    }
}
