using System.Collections.Frozen;
using System.Text.Json;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>Names of kinds, moments and actions as files, reports and the command line spell them: lower case, words joined by dashes.</summary>
public static class ScenarioNames
{
    /// <summary>The name of a value, such as <c>host-crash</c>.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum => Names<T>.ByValue[value];

    /// <summary>The value of a name.</summary>
    public static bool TryParse<T>(string name, out T value)
        where T : struct, Enum => Names<T>.ByName.TryGetValue(name, out value);

    /// <summary>Every name, in the order of the enumeration, for messages that say what is allowed.</summary>
    public static string All<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(Of));

    private static class Names<T>
        where T : struct, Enum
    {
        public static FrozenDictionary<T, string> ByValue { get; } =
            Enum.GetValues<T>().ToFrozenDictionary(value => value, value => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString()));

        public static FrozenDictionary<string, T> ByName { get; } =
            ByValue.ToFrozenDictionary(pair => pair.Value, pair => pair.Key, StringComparer.Ordinal);
    }
}
