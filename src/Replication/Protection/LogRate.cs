namespace FtAkka.Replication.Protection;

/// <summary>The rate at which the log was sent or received over the last second or so.</summary>
internal sealed class LogRate
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    private long _bytes;
    private Instant? _since;

    /// <summary>Over the last whole window; 0 before the end of the first.</summary>
    public double BitsPerSecond { get; private set; }

    /// <summary>Bytes of log went by.</summary>
    public void Add(int count) => _bytes += count;

    /// <summary>Time has passed.</summary>
    public void Tick(Instant now)
    {
        _since ??= now;
        var elapsed = now - _since.Value;
        if (elapsed >= Window)
        {
            BitsPerSecond = _bytes * 8 / elapsed.TotalSeconds;
            (_bytes, _since) = (0, now);
        }
    }
}
