using System.Collections.Immutable;
using Akka.Configuration;
using Akka.Configuration.Hocon;
using FtAkka.Nodes;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>Reads a VM's HOCON file. Every error names the file, the key, and what is allowed.</summary>
public static class VmSpecFile
{
    private static readonly string[] Keys =
    [
        "name", "memory", "kernel", "initrd", "append", "disks", "nics", "console", "virtio-console", "cpu-model", "rng-seed", "limits",
        "digest-every", "stats",
    ];

    private static readonly string[] LimitKeys = ["pace", "max-icount"];

    private static readonly string[] DiskKeys = ["path", "format", "readonly", "shared", "backup-reads"];

    private static readonly string[] NicKeys = ["connect", "mac", "mtu", "listen"];

    /// <summary>Parses the text of a file.</summary>
    /// <param name="text">HOCON.</param>
    /// <param name="file">Name of the file, for errors; relative paths in it are relative to its folder.</param>
    /// <exception cref="SpecException">The text is no HOCON, or not the description of a VM.</exception>
    public static VmSpec Parse(string text, string file)
    {
        HoconObject root = Root(text, file);
        RefuseUnknown(file, "", root, Keys);
        string folder = Path.GetDirectoryName(Path.GetFullPath(file)) ?? "/";
        var spec = new VmSpec { Name = Path.GetFileNameWithoutExtension(file) };
        foreach ((string key, HoconValue value) in root.Items)
        {
            string what = $"{file}: {key}";
            spec = key switch
            {
                "name" => spec with { Name = Text(what, value) },
                "memory" => spec with { MemoryBytes = SpecText.Bytes(what, Text(what, value)) },
                "kernel" => spec with { Kernel = PathIn(folder, Text(what, value)) },
                "initrd" => spec with { Initrd = PathIn(folder, Text(what, value)) },
                "append" => spec with { Append = Text(what, value) },
                "disks" => spec with { Disks = [.. List(what, value).Select((item, i) => Disk($"{what}[{i}]", folder, item))] },
                "nics" => spec with { Nics = [.. List(what, value).Select((item, i) => Nic($"{what}[{i}]", folder, item))] },
                "console" => spec with { Console = InFolder(folder, SpecText.Console(what, Text(what, value))) },
                "virtio-console" => spec with { VirtioConsole = InFolder(folder, SpecText.Console(what, Text(what, value))) },
                "cpu-model" => spec with { CpuModel = Text(what, value) },
                "rng-seed" => spec with { RngSeed = SpecText.Number(what, Text(what, value)) },
                "limits" => spec with { Limits = Limits(what, value) },
                "digest-every" => spec with { DigestEvery = SpecText.Count(what, Text(what, value)) },
                "stats" => spec with { Stats = PathIn(folder, Text(what, value)) },
                _ => spec,
            };
        }
        return spec;
    }

    private static HoconObject Root(string text, string file)
    {
        try
        {
            Config config = ConfigurationFactory.ParseString(text);
            HoconValue? root = config.Root;
            return root is null || root.IsEmpty
                ? throw new SpecException($"{file}: there is nothing in it; a VM has for example memory = 256M, kernel = \"vmlinuz\".")
                : root.GetObject() ?? throw new SpecException($"{file}: not a HOCON object (key = value lines).");
        }
        catch (Exception broken) when (broken is not SpecException)
        {
            // The parser throws whatever it stumbles over, its own exception types among others.
            throw new SpecException($"{file}: not valid HOCON: {broken.Message}", broken);
        }
    }

    private static VmLimits Limits(string what, HoconValue value)
    {
        if (!value.IsObject())
        {
            throw new SpecException($"{what}: an object is expected, such as {{ pace = 500, max-icount = 10G }}.");
        }
        HoconObject item = value.GetObject();
        RefuseUnknown(what, ".", item, LimitKeys);
        return new VmLimits(
            Optional(what, item, "pace") is { } pace ? SpecText.Pace($"{what}.pace", pace) : null,
            Optional(what, item, "max-icount") is { } icount ? SpecText.Count($"{what}.max-icount", icount) : null);
    }

    private static DiskSpec Disk(string what, string folder, HoconValue value)
    {
        DiskSpec disk;
        if (!value.IsObject())
        {
            disk = SpecText.Disk(what, Text(what, value));
        }
        else
        {
            HoconObject item = value.GetObject();
            RefuseUnknown(what, ".", item, DiskKeys);
            disk = new DiskSpec(Required(what, item, "path"));
            if (Optional(what, item, "format") is { } format)
            {
                disk = disk with { Format = SpecText.Format($"{what}.format", format) };
            }
            if (Optional(what, item, "readonly") is { } readOnly)
            {
                disk = disk with { ReadOnly = SpecText.Switch($"{what}.readonly", readOnly) };
            }
            if (Optional(what, item, "shared") is { } shared)
            {
                disk = disk with { Shared = SpecText.Switch($"{what}.shared", shared) };
            }
            if (Optional(what, item, "backup-reads") is { } reads)
            {
                disk = disk with { BackupReads = SpecText.Switch($"{what}.backup-reads", reads) };
            }
            SpecText.CheckDisk(what, disk);
        }
        return disk with { Path = PathIn(folder, disk.Path), NodePath = disk.Shared ? null : disk.Path };
    }

    private static NicSpec Nic(string what, string folder, HoconValue value)
    {
        NicSpec nic;
        if (!value.IsObject())
        {
            nic = SpecText.Nic(what, Text(what, value));
        }
        else
        {
            HoconObject item = value.GetObject();
            RefuseUnknown(what, ".", item, NicKeys);
            nic = SpecText.Nic($"{what}.connect", Required(what, item, "connect"));
            if (Optional(what, item, "mac") is { } mac)
            {
                nic = nic with { Mac = SpecText.Mac($"{what}.mac", mac) };
            }
            if (Optional(what, item, "mtu") is { } mtu)
            {
                nic = nic with { Mtu = SpecText.Mtu($"{what}.mtu", mtu) };
            }
            if (Optional(what, item, "listen") is { } listen)
            {
                nic = nic with { Listen = SpecText.Switch($"{what}.listen", listen) };
            }
        }
        return nic.Target == NicTarget.Unix ? nic with { Name = PathIn(folder, nic.Name!) } : nic;
    }

    private static void RefuseUnknown(string what, string separator, HoconObject item, string[] known)
    {
        foreach (string key in item.Items.Keys.Order(StringComparer.Ordinal))
        {
            if (!known.Contains(key, StringComparer.Ordinal))
            {
                string place = separator.Length == 0 ? $"{what}: " : what + separator;
                throw new SpecException($"{place}{key}: unknown key; allowed are {string.Join(", ", known)}.");
            }
        }
    }

    private static string Required(string what, HoconObject item, string key) =>
        Optional(what, item, key) ?? throw new SpecException($"{what}: {key} is missing.");

    private static string? Optional(string what, HoconObject item, string key) =>
        item.Items.TryGetValue(key, out HoconValue? value) ? Text($"{what}.{key}", value) : null;

    private static string Text(string what, HoconValue value) => value.IsObject() || value.IsArray()
        ? throw new SpecException($"{what}: a single value is expected, not a list or an object.")
        : value.GetString() ?? throw new SpecException($"{what}: the value is missing.");

    private static ImmutableArray<HoconValue> List(string what, HoconValue value) => value.IsArray()
        ? [.. value.GetArray()]
        : throw new SpecException($"{what}: a list is expected, such as [ ... ].");

    private static ConsoleSpec InFolder(string folder, ConsoleSpec console) =>
        console.Path is { } path ? console with { Path = PathIn(folder, path) } : console;

    private static string PathIn(string folder, string path) => Path.Combine(folder, path);
}
