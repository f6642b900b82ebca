using System.Reflection;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>The scenarios that come with the program: the files of the folder <c>scenarios</c>, kept inside the assembly.</summary>
public static class ScenarioLibrary
{
    /// <summary>End of a scenario file's name.</summary>
    public const string Extension = ".scenario";

    private const string Prefix = "FtAkka.DeterministicSim.scenarios.";

    private static readonly Assembly Assembly = typeof(ScenarioLibrary).Assembly;

    /// <summary>Names of all scenarios, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Extension, StringComparison.Ordinal))
            .Select(name => name[Prefix.Length..^Extension.Length])
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>A scenario of the library, by name.</summary>
    /// <exception cref="ScenarioException">There is none of this name.</exception>
    public static Scenario Get(string name) => ScenarioParser.Parse(Text(name), name + Extension);

    /// <summary>A scenario by its name in the library, or by the path of a file.</summary>
    /// <exception cref="ScenarioException">There is no such scenario or file, or it is not a valid one.</exception>
    public static Scenario Open(string nameOrPath)
    {
        ArgumentNullException.ThrowIfNull(nameOrPath);
        if (Names.Contains(nameOrPath))
        {
            return Get(nameOrPath);
        }
        if (!File.Exists(nameOrPath))
        {
            throw new ScenarioException($"'{nameOrPath}' is neither a scenario of the library ('sim list' has their names) nor a file.");
        }
        try
        {
            return ScenarioParser.Parse(File.ReadAllText(nameOrPath), nameOrPath);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ScenarioException($"'{nameOrPath}' cannot be read: {failure.Message}", failure);
        }
    }

    private static string Text(string name)
    {
        using Stream stream = Assembly.GetManifestResourceStream(Prefix + name + Extension)
            ?? throw new ScenarioException($"The library has no scenario '{name}'. It has: {string.Join(", ", Names)}.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
