using System.Collections.Immutable;
using System.Globalization;
using FtAkka.Machine;
using FtAkka.Nodes;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>
/// Reads the one-word forms of a VM's parts, which flags and files share: <c>256M</c>, <c>disk.img,readonly</c>, <c>tap:tap0</c>,
/// <c>unix:/run/console</c>. Errors are <see cref="SpecException"/>s that begin with <c>what</c>, the name of the flag or key.
/// </summary>
public static class SpecText
{
    /// <summary>No machine is so fast that a higher pace would limit it.</summary>
    public const ulong PaceMipsMax = 1_000_000;

    /// <summary>Bytes: a number with an optional K, M, G or T (powers of 1024; iB or B may follow).</summary>
    public static ulong Bytes(string what, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string word = text.Trim();
        string unit = word.TrimStart([.. "0123456789"]);
        int shift = unit.ToUpperInvariant() switch
        {
            "" or "B" => 0,
            "K" or "KB" or "KIB" => 10,
            "M" or "MB" or "MIB" => 20,
            "G" or "GB" or "GIB" => 30,
            "T" or "TB" or "TIB" => 40,
            _ => -1,
        };
        bool isNumber = ulong.TryParse(word.AsSpan(0, word.Length - unit.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number);
        if (shift < 0 || !isNumber || number > ulong.MaxValue >> shift)
        {
            throw new SpecException($"{what}: '{text}' is no size; write a number of bytes, or one with K, M or G, such as 256M.");
        }
        return number << shift;
    }

    /// <summary>An unsigned number, decimal or 0x-hexadecimal.</summary>
    public static ulong Number(string what, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ulong.TryParse(isHex ? text[2..] : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw new SpecException($"{what}: '{text}' is no number; write a whole number from 0, or 0x and hexadecimal digits.");
    }

    /// <summary>Instructions: a number from 1 with an optional K, M, G or T, powers of 1000; commas and underscores may part its digits.</summary>
    public static ulong Count(string what, string text) => TryCount(text) is > 0 and var count
        ? count
        : throw new SpecException($"{what}: '{text}' is no number of instructions; write 1000000, 50M or 2G.");

    /// <summary>The same, or 0 for none.</summary>
    public static ulong CountOrNone(string what, string text) =>
        TryCount(text) ?? throw new SpecException($"{what}: '{text}' is no number of instructions; write 1000000, 50M or 2G, or 0 for none.");

    /// <summary>The same from 0; null if the text is no count.</summary>
    public static ulong? TryCount(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        ulong unit = text.Length == 0 ? 1 : char.ToUpperInvariant(text[^1]) switch
        {
            'K' => 1_000,
            'M' => 1_000_000,
            'G' => 1_000_000_000,
            'T' => 1_000_000_000_000,
            _ => 1UL,
        };
        string digits = (unit == 1 ? text : text[..^1]).Replace("_", "", StringComparison.Ordinal).Replace(",", "", StringComparison.Ordinal);
        return ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && number <= ulong.MaxValue / unit
            ? number * unit
            : null;
    }

    /// <summary>Million instructions per second, from 1.</summary>
    public static ulong Pace(string what, string text) => Number(what, text) is >= 1 and <= PaceMipsMax and var mips
        ? mips
        : throw new SpecException($"{what}: {text} is out of range; allowed are 1 to {PaceMipsMax} million instructions per second.");

    /// <summary><c>restart</c>, <c>stop</c> or <c>hold</c>, as far as allowed.</summary>
    public static EndPolicy Policy(string what, string text, params ReadOnlySpan<EndPolicy> allowed)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (EndPolicy policy in allowed)
        {
            if (text == NameOf(policy))
            {
                return policy;
            }
        }
        throw new SpecException($"{what}: '{text}' is not possible; allowed are {string.Join(", ", allowed.ToArray().Select(NameOf))}.");
    }

    private static string NameOf(EndPolicy policy) => policy switch
    {
        EndPolicy.Restart => "restart",
        EndPolicy.Hold => "hold",
        _ => "stop",
    };

    /// <summary><c>PATH[,format=raw][,readonly][,shared=no[,backup-reads=yes]]</c></summary>
    public static DiskSpec Disk(string what, string text)
    {
        (string path, List<(string Key, string? Value)> options) = Split(what, text, "PATH[,format=raw][,readonly][,shared=no[,backup-reads=yes]]");
        var disk = new DiskSpec(path);
        foreach ((string key, string? value) in options)
        {
            disk = key switch
            {
                "format" => disk with { Format = Format($"{what}: format", value ?? "") },
                "readonly" => disk with { ReadOnly = value is null || Switch($"{what}: readonly", value) },
                "shared" => disk with { Shared = Switch($"{what}: shared", value ?? "") },
                "backup-reads" => disk with { BackupReads = Switch($"{what}: backup-reads", value ?? "") },
                _ => throw new SpecException($"{what}: unknown option '{key}'; allowed are format=raw, readonly, shared=yes|no and backup-reads=yes|no."),
            };
        }
        CheckDisk(what, disk);
        return disk;
    }

    /// <summary>Refuses options of a disk that do not go together.</summary>
    internal static void CheckDisk(string what, DiskSpec disk)
    {
        if (disk.BackupReads && disk.Shared)
        {
            throw new SpecException($"{what}: backup-reads needs shared = no: only a disk of which the backup has its own copy can be read by it.");
        }
    }

    /// <summary><c>none</c>, <c>tap:NAME</c> or <c>unix:PATH</c>, followed by <c>[,mac=..][,mtu=..][,listen]</c>.</summary>
    public static NicSpec Nic(string what, string text)
    {
        const string Form = "tap:NAME, unix:PATH or none, and [,mac=ADDRESS][,mtu=BYTES][,listen]";
        (string target, List<(string Key, string? Value)> options) = Split(what, text, Form);
        (string kind, string? name) = Target(target);
        NicSpec nic = (kind, name) switch
        {
            ("none", null) => new NicSpec(NicTarget.None, null),
            ("tap", not (null or "")) => new NicSpec(NicTarget.Tap, name),
            ("unix", not (null or "")) => new NicSpec(NicTarget.Unix, name),
            _ => throw new SpecException($"{what}: '{target}' is no network; write {Form}."),
        };
        foreach ((string key, string? value) in options)
        {
            nic = key switch
            {
                "mac" => nic with { Mac = Mac($"{what}: mac", value ?? "") },
                "mtu" => nic with { Mtu = Mtu($"{what}: mtu", value ?? "") },
                "listen" when nic.Target == NicTarget.Unix => nic with { Listen = value is null || Switch($"{what}: listen", value) },
                _ => throw new SpecException($"{what}: unknown option '{key}' for {kind}; allowed are mac, mtu and, for unix, listen."),
            };
        }
        return nic;
    }

    /// <summary><c>stdio</c>, <c>none</c>, <c>unix:PATH</c> or <c>file:PATH</c>.</summary>
    public static ConsoleSpec Console(string what, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Target(text) switch
        {
            ("stdio", null) => new ConsoleSpec(ConsoleTarget.Stdio, null),
            ("none", null) => new ConsoleSpec(ConsoleTarget.None, null),
            ("unix", { Length: > 0 } path) => new ConsoleSpec(ConsoleTarget.Unix, path),
            ("file", { Length: > 0 } path) => new ConsoleSpec(ConsoleTarget.File, path),
            _ => throw new SpecException($"{what}: '{text}' is no console; write stdio, unix:PATH, file:PATH or none."),
        };
    }

    /// <summary>A unicast MAC address, six hexadecimal bytes between colons.</summary>
    public static ImmutableArray<byte> Mac(string what, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.Split(':');
        byte[] bytes = new byte[6];
        bool good = parts.Length == 6;
        for (int i = 0; good && i < 6; i++)
        {
            good = parts[i].Length == 2 && byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]);
        }
        return good && (bytes[0] & 1) == 0
            ? [.. bytes]
            : throw new SpecException($"{what}: '{text}' is no unicast MAC address such as 52:54:00:12:34:56.");
    }

    /// <summary>Largest IP packet of a card, 1280 to 65535.</summary>
    public static ushort Mtu(string what, string text) => Number(what, text) is >= 1280 and <= 65535 and var mtu
        ? (ushort)mtu
        : throw new SpecException($"{what}: {text} is out of range; allowed are 1280 to 65535.");

    /// <summary>Name of a disk format.</summary>
    public static DiskFormat Format(string what, string text) => text == "raw"
        ? DiskFormat.Raw
        : throw new SpecException($"{what}: '{text}' is not supported; allowed is raw (convert others with qemu-img convert -O raw).");

    /// <summary>on/off, true/false, yes/no.</summary>
    public static bool Switch(string what, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.ToLowerInvariant() switch
        {
            "on" or "true" or "yes" => true,
            "off" or "false" or "no" => false,
            _ => throw new SpecException($"{what}: '{text}' is neither on nor off."),
        };
    }

    private static (string Kind, string? Name) Target(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? (text, null) : (text[..colon], text[(colon + 1)..]);
    }

    private static (string First, List<(string Key, string? Value)> Options) Split(string what, string text, string form)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.Split(',');
        if (parts[0].Length == 0)
        {
            throw new SpecException($"{what}: nothing before the first comma in '{text}'; write {form}.");
        }
        return (parts[0], [.. parts[1..].Select(part =>
        {
            string[] pair = part.Split('=', 2);
            return (pair[0], pair.Length == 2 ? pair[1] : null);
        })]);
    }
}
