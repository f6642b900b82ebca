namespace FtAkka.DeviceActors.Fencing;

/// <summary>
/// Lets devices act only while their replica may (docs/failure-model.md, "Stale primaries"). What may not act now waits, and is dropped when
/// the device closes. Between the look and the act lies the host's own way to the disk or the network, which nothing here can cut short.
/// </summary>
/// <param name="mayAct">Whether devices may act at this moment.</param>
public sealed class Fence(Func<bool> mayAct)
{
    /// <summary>How often a closed fence is looked at.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(1);

    /// <summary>Whether devices may act at this moment.</summary>
    public bool IsOpen => mayAct();

    /// <summary>Returns when devices may act.</summary>
    /// <exception cref="OperationCanceledException">Cancelled first.</exception>
    public async Task WaitAsync(CancellationToken cancelled)
    {
        while (!mayAct())
        {
            await Task.Delay(Look, cancelled).ConfigureAwait(false);
        }
    }
}
