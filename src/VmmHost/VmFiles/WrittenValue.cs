using Akka.Configuration.Hocon;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>What somebody wrote for a setting, on the command line or in a file.</summary>
internal sealed class WrittenValue
{
    private readonly string? text;
    private readonly HoconObject? fields;
    private readonly string folder;

    private WrittenValue(string what, string? text, HoconObject? fields, string folder) =>
        (What, this.text, this.fields, this.folder) = (what, text, fields, folder);

    /// <summary>Name of the flag or key, with which errors begin.</summary>
    public string What { get; }

    /// <summary>Whether it is an object of the file, with fields.</summary>
    public bool IsObject => fields is not null;

    /// <summary>The text.</summary>
    /// <exception cref="SpecException">It is a list or an object.</exception>
    public string Text => text ?? throw new SpecException($"{What}: a single value is expected, not a list or an object.");

    /// <summary>The text as a path; from a file, relative to the file's folder.</summary>
    /// <exception cref="SpecException">It is a list or an object.</exception>
    public string Path => PathOf(Text);

    /// <summary>What stands after a flag.</summary>
    public static WrittenValue OfFlag(string flag, string text) => new(flag, text, null, "");

    /// <summary>A value in a file.</summary>
    /// <param name="what">File and key.</param>
    /// <param name="value">The value.</param>
    /// <param name="folder">The file's folder.</param>
    /// <exception cref="SpecException">There is none.</exception>
    public static WrittenValue InFile(string what, HoconValue value, string folder) =>
        value.IsObject() ? new WrittenValue(what, null, value.GetObject(), folder)
        : value.IsArray() ? new WrittenValue(what, null, null, folder)
        : new WrittenValue(what, value.GetString() ?? throw new SpecException($"{what}: the value is missing."), null, folder);

    /// <summary>A path that is a part of the text.</summary>
    public string PathOf(string path) => System.IO.Path.Combine(folder, path);

    /// <summary>A field of an object; null if it has no such field.</summary>
    public WrittenValue? Field(string key) =>
        fields is not null && fields.Items.TryGetValue(key, out HoconValue? value) ? InFile($"{What}.{key}", value, folder) : null;

    /// <summary>Refuses fields of other names.</summary>
    /// <exception cref="SpecException">There is one.</exception>
    public void AllowFields(params string[] known)
    {
        foreach (string key in fields?.Items.Keys.Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>())
        {
            if (!known.Contains(key, StringComparer.Ordinal))
            {
                throw new SpecException($"{What}.{key}: unknown key; allowed are {string.Join(", ", known)}.");
            }
        }
    }
}
