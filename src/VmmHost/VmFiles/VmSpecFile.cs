using System.Collections.Immutable;
using Akka.Configuration;
using Akka.Configuration.Hocon;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>Reads a VM's HOCON file. Every error names the file, the key, and what is allowed.</summary>
public static class VmSpecFile
{
    private static readonly string[] Keys = [.. VmSetting.All.Select(setting => setting.Key.Split('.')[0]).Distinct()];

    /// <summary>Objects of the file whose fields are settings, by their keys.</summary>
    private static readonly ILookup<string, string> Groups =
        VmSetting.All.Select(setting => setting.Key.Split('.')).Where(path => path.Length == 2).ToLookup(path => path[0], path => path[1]);

    /// <summary>Reads a file.</summary>
    /// <exception cref="SpecException">It is no HOCON, or not the description of a VM.</exception>
    /// <exception cref="IOException">It is missing, too long, no regular file, or cannot be read in time. The message names it.</exception>
    public static VmSpec Read(string file) => Parse(HoconText.ReadFile(file), file);

    /// <summary>Parses the text of a file.</summary>
    /// <param name="text">HOCON.</param>
    /// <param name="file">Name of the file, for errors; relative paths in it are relative to its folder.</param>
    /// <exception cref="SpecException">The text is no HOCON, or not the description of a VM.</exception>
    public static VmSpec Parse(string text, string file)
    {
        HoconObject root = Root(text, file);
        if (root.Items.Keys.Except(Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal).FirstOrDefault() is { } unknown)
        {
            throw new SpecException($"{file}: {unknown}: unknown key; allowed are {string.Join(", ", Keys)}.");
        }
        string folder = Path.GetDirectoryName(Path.GetFullPath(file)) ?? "/";
        var spec = new VmSpec { Name = Path.GetFileNameWithoutExtension(file) };
        foreach ((string key, HoconValue value) in root.Items)
        {
            string what = $"{file}: {key}";
            if (Groups.Contains(key))
            {
                spec = SetGroup(spec, key, WrittenValue.InFile(what, value, folder));
                continue;
            }
            VmSetting setting = VmSetting.All.First(setting => setting.Key == key);
            spec = setting.Set(spec, setting.IsList ? List(what, value, folder) : [WrittenValue.InFile(what, value, folder)]);
        }
        return spec;
    }

    private static VmSpec SetGroup(VmSpec spec, string group, WrittenValue value)
    {
        if (!value.IsObject)
        {
            throw new SpecException($"{value.What}: an object is expected, such as {{ pace = 500, max-icount = 10G }}.");
        }
        value.AllowFields([.. Groups[group]]);
        foreach (VmSetting setting in VmSetting.All)
        {
            if (setting.Key.Split('.') is [var first, var key] && first == group && value.Field(key) is { } field)
            {
                spec = setting.Set(spec, [field]);
            }
        }
        return spec;
    }

    private static HoconObject Root(string text, string file)
    {
        try
        {
            Config config = HoconText.Parse(text);
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

    private static ImmutableArray<WrittenValue> List(string what, HoconValue value, string folder) => value.IsArray()
        ? [.. value.GetArray().Select((item, i) => WrittenValue.InFile($"{what}[{i}]", item, folder))]
        : throw new SpecException($"{what}: a list is expected, such as [ ... ].");
}
