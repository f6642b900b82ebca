namespace FtAkka.Replication.Protection.Clone;

/// <summary>
/// How much of a copy may be under way. The copy shares its connection with heartbeats, the log and acknowledgements, which must not wait behind
/// megabytes of memory: a confirmation that comes later than the quickest one tells of a queue, and makes the window smaller. Pure.
/// </summary>
public sealed class CloneWindow
{
    private readonly CloneOptions _options;
    private readonly Instant _begun;
    private double _chunks;
    private TimeSpan _quickest = TimeSpan.MaxValue;
    private Instant _reduced;
    private long _sentBytes;

    /// <param name="options">Limits.</param>
    /// <param name="now">Time.</param>
    public CloneWindow(CloneOptions options, Instant now)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _begun = _reduced = now;
        _chunks = Math.Min(options.WindowChunksMin, options.WindowChunks);
    }

    /// <summary>Chunks that may be under way.</summary>
    public int Chunks => (int)_chunks;

    /// <summary>Whether one more may be, beside so many.</summary>
    public bool HasRoom(int underWay) => underWay < Chunks;

    /// <summary>Whether the limit of the rate lets one go now.</summary>
    public bool MaySend(Instant now)
    {
        if (_options.BytesPerSecondMax == 0)
            return true;
        double allowed = (now - _begun).TotalSeconds * _options.BytesPerSecondMax;
        return _sentBytes <= allowed;
    }

    /// <summary>A chunk goes.</summary>
    public void Sent(int bytes) => _sentBytes += bytes;

    /// <summary>A chunk that was sent once is confirmed.</summary>
    public void Confirmed(Instant now, Instant sent)
    {
        var took = now - sent;
        _quickest = took < _quickest ? took : _quickest;
        if (took - _quickest <= _options.QueueDelayMax)
        {
            _chunks = Math.Min(_options.WindowChunks, _chunks + 1);
        }
        else if (sent >= _reduced)
        {
            // Once for each window: those sent before saw the same queue.
            _chunks = Math.Max(Math.Min(_options.WindowChunksMin, _options.WindowChunks), _chunks / 2);
            _reduced = now;
        }
    }
}
