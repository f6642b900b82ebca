using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace FtAkka.Recordings;

/// <summary>How the verbs of recordings write JSON.</summary>
public static class RecordingJson
{
    /// <summary>One object in several lines.</summary>
    public static JsonSerializerOptions Options { get; } = Create(indented: true);

    /// <summary>One object in a line.</summary>
    public static JsonSerializerOptions Line { get; } = Create(indented: false);

    private static JsonSerializerOptions Create(bool indented) => new()
    {
        WriteIndented = indented,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // read by programs and people, never put into a web page
    };
}
