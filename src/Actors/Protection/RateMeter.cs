namespace FtAkka.Actors.Protection;

/// <summary>A rate over the last second or so. Used under the lock of the <see cref="ReplicaShell"/>.</summary>
internal sealed class RateMeter
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    private long bytes;
    private TimeSpan? since;

    /// <summary>Over the last whole window; 0 before.</summary>
    public double BitsPerSecond { get; private set; }

    /// <summary>Bytes went by.</summary>
    public void Add(int count) => bytes += count;

    /// <summary>Time has passed.</summary>
    public void Tick(TimeSpan now)
    {
        since ??= now;
        TimeSpan elapsed = now - since.Value;
        if (elapsed >= Window)
        {
            BitsPerSecond = bytes * 8 / elapsed.TotalSeconds;
            (bytes, since) = (0, now);
        }
    }
}
