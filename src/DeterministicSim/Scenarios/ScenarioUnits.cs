using System.Globalization;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>Times and sizes as scenario files write them: a number and a unit without a space.</summary>
public static class ScenarioUnits
{
    private static readonly (string Unit, long Ticks)[] TimeUnits =
    [
        ("us", TimeSpan.TicksPerMicrosecond), ("ms", TimeSpan.TicksPerMillisecond), ("s", TimeSpan.TicksPerSecond), ("min", TimeSpan.TicksPerMinute),
        ("h", TimeSpan.TicksPerHour),
    ];

    private static readonly (string Unit, ulong Bytes)[] SizeUnits = [("KiB", 1ul << 10), ("MiB", 1ul << 20), ("GiB", 1ul << 30)];

    /// <summary>Reads a time such as <c>500ms</c> or <c>1.5s</c>; <c>0</c> needs no unit.</summary>
    public static bool TryTime(string text, out TimeSpan time)
    {
        ArgumentNullException.ThrowIfNull(text);
        time = default;
        if (text == "0")
        {
            return true;
        }
        int digits = text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        long ticks = TimeUnits.FirstOrDefault(unit => unit.Unit == text[digits..]).Ticks;
        if (ticks == 0 || !decimal.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
            || number * ticks > TimeSpan.MaxValue.Ticks)
        {
            return false;
        }
        time = new TimeSpan((long)(number * ticks));
        return true;
    }

    /// <summary>Writes a time in the largest unit that gives a whole number.</summary>
    public static string Print(TimeSpan time)
    {
        if (time == TimeSpan.Zero)
        {
            return "0";
        }
        var (unit, ticks) = TimeUnits.LastOrDefault(one => one.Unit is not ("min" or "h") && time.Ticks % one.Ticks == 0);
        return unit is null
            ? ((decimal)time.Ticks / TimeSpan.TicksPerMicrosecond).ToString(CultureInfo.InvariantCulture) + "us"
            : (time.Ticks / ticks).ToString(CultureInfo.InvariantCulture) + unit;
    }

    /// <summary>Reads a size such as <c>16MiB</c> or <c>4096</c>.</summary>
    public static bool TrySize(string text, out ulong bytes)
    {
        ArgumentNullException.ThrowIfNull(text);
        bytes = 0;
        int digits = text.TakeWhile(char.IsAsciiDigit).Count();
        ulong unit = digits == text.Length ? 1 : SizeUnits.FirstOrDefault(one => one.Unit == text[digits..]).Bytes;
        if (unit == 0 || !ulong.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) || number > ulong.MaxValue / unit)
        {
            return false;
        }
        bytes = number * unit;
        return true;
    }

    /// <summary>Writes a size in the largest unit that gives a whole number.</summary>
    public static string Print(ulong bytes)
    {
        var (unit, size) = SizeUnits.LastOrDefault(one => bytes > 0 && bytes % one.Bytes == 0);
        return unit is null ? bytes.ToString(CultureInfo.InvariantCulture) : (bytes / size).ToString(CultureInfo.InvariantCulture) + unit;
    }

    /// <summary>Splits <c>LEAST..MOST</c>; a single value is both.</summary>
    public static (string Least, string Most) Range(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int dots = text.IndexOf("..", StringComparison.Ordinal);
        return dots < 0 ? (text, text) : (text[..dots], text[(dots + 2)..]);
    }
}
