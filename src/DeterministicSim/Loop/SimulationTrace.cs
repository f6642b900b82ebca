using System.Security.Cryptography;
using System.Text;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Everything observable that happens in a run, line by line, as a hash and, if asked for, as text.</summary>
public sealed class SimulationTrace : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<string>? _lines;
    private byte[] _buffer = new byte[512];

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
        Count++;
        _lines?.Add(line);
        var most = Encoding.UTF8.GetMaxByteCount(line.Length) + 1;
        if (_buffer.Length < most)
        {
            _buffer = new byte[most];
        }

        var length = Encoding.UTF8.GetBytes(line, _buffer);
        _buffer[length] = (byte)'\n';
        _hash.AppendData(_buffer, 0, length + 1);
    }

    /// <summary>The hash of all lines so far, in hexadecimal.</summary>
    public string Hash() => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();
}
