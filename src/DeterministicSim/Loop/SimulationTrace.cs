using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Everything observable that happens in a run, line by line, as a hash and, if asked for, as text. Interpolated lines are written as UTF-8 without a
/// string between, in the invariant culture: there are thousands in a second of virtual time.
/// </summary>
public sealed class SimulationTrace : IDisposable
{
    private const int BufferBytes = 64 * 1024;

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<string>? _lines;
    private byte[] _buffer = new byte[BufferBytes];
    private int _length;
    private int _lineStart;

    /// <summary>Starts a trace.</summary>
    /// <param name="keepLines">Keep the text, to find where two runs part.</param>
    public SimulationTrace(bool keepLines) => _lines = keepLines ? [] : null;

    /// <summary>Lines so far.</summary>
    public long Count { get; private set; }

    /// <summary>The lines, if they were asked for.</summary>
    public IReadOnlyList<string> Lines => _lines ?? [];

    /// <summary>Adds a line.</summary>
    public void Add(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        Begin();
        Write(line);
        End();
    }

    /// <summary>Adds a line that was written piece by piece. What is written into it must not add lines itself.</summary>
    public void Add([InterpolatedStringHandlerArgument("")] ref TraceLine line) => End();

    /// <summary>The hash of all lines so far, in hexadecimal.</summary>
    public string Hash()
    {
        Drain(_lineStart);
        return Convert.ToHexStringLower(_hash.GetCurrentHash());
    }

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();

    /// <summary>A line begins; what was left of one that came to no end is gone.</summary>
    internal void Begin()
    {
        _length = _lineStart;
        if (_length > BufferBytes / 2)
        {
            Drain(_length);
        }
    }

    internal void Write(ReadOnlySpan<char> text)
    {
        Reserve(Encoding.UTF8.GetMaxByteCount(text.Length));
        _length += Encoding.UTF8.GetBytes(text, _buffer.AsSpan(_length));
    }

    internal void Write<T>(T value, string? format)
        where T : IUtf8SpanFormattable
    {
        int written;
        while (!value.TryFormat(_buffer.AsSpan(_length), out written, format, CultureInfo.InvariantCulture))
        {
            Reserve(_buffer.Length);
        }
        _length += written;
    }

    private void End()
    {
        Count++;
        _lines?.Add(Encoding.UTF8.GetString(_buffer.AsSpan(_lineStart, _length - _lineStart)));
        Reserve(1);
        _buffer[_length++] = (byte)'\n';
        _lineStart = _length;
    }

    private void Reserve(int bytes)
    {
        if (_buffer.Length - _length < bytes)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes));
        }
    }

    /// <summary>Hashes whole lines and begins the buffer anew.</summary>
    private void Drain(int length)
    {
        _hash.AppendData(_buffer, 0, length);
        (_length, _lineStart) = (0, 0);
    }
}

/// <summary>A line of a trace while it is written.</summary>
[InterpolatedStringHandler]
public readonly ref struct TraceLine
{
    private readonly SimulationTrace _trace;

    /// <summary>As the compiler calls it.</summary>
    public TraceLine(int literalLength, int formattedCount, SimulationTrace trace)
    {
        ArgumentNullException.ThrowIfNull(trace);
        _trace = trace;
        trace.Begin();
    }

    /// <summary>Text of the line itself.</summary>
    public void AppendLiteral(string value) => _trace.Write(value);

    /// <summary>A text.</summary>
    public void AppendFormatted(string? value) => _trace.Write(value);

    /// <summary>A number.</summary>
    public void AppendFormatted(int value) => _trace.Write(value, null);

    /// <summary>A number.</summary>
    public void AppendFormatted(long value) => _trace.Write(value, null);

    /// <summary>A number, in a format if need be.</summary>
    public void AppendFormatted(ulong value, string? format = null) => _trace.Write(value, format);

    /// <summary>Anything else, by the text that it gives of itself.</summary>
    public void AppendFormatted<T>(T value) =>
        _trace.Write(value is IFormattable formattable ? formattable.ToString(null, CultureInfo.InvariantCulture) : value?.ToString());
}
