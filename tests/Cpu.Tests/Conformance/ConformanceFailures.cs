using System.Globalization;
using System.Text;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Failed cases by code: the first of each code says more than thousands of the same.</summary>
internal sealed class ConformanceFailures
{
    private const int CodesShownMax = 40;

    private readonly SortedDictionary<string, (int Count, string First)> _byCode = new(StringComparer.Ordinal);

    public int Count { get; private set; }

    public void Add(Code code, string text)
    {
        Count++;
        string key = code.ToString();
        _byCode[key] = _byCode.TryGetValue(key, out (int Count, string First) known) ? (known.Count + 1, known.First) : (1, text);
    }

    /// <summary>What failed, and <paramref name="command"/> to see it again.</summary>
    public string Report(string command)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Count} cases of {_byCode.Count} codes are wrong. Again: {command}\n");
        foreach ((string code, (int count, string first)) in _byCode.Take(CodesShownMax))
        {
            text.Append(CultureInfo.InvariantCulture, $"{code} ({count}): {first}\n");
        }
        return text.ToString();
    }
}
