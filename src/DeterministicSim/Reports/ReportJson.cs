using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>How reports are written as JSON: names of values as scenario files spell them, times in seconds, properties in camel case.</summary>
public static class ReportJson
{
    /// <summary>One document to a line.</summary>
    public static JsonSerializerOptions Line { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower), new Seconds() },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // read by programs and people; the HTML page escapes what it embeds
    };

    /// <summary>For people.</summary>
    public static JsonSerializerOptions Indented { get; } = new(Line) { WriteIndented = true };

    private sealed class Seconds : JsonConverter<TimeSpan>
    {
        public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new((long)(reader.GetDecimal() * TimeSpan.TicksPerSecond));

        public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
            writer.WriteNumberValue((decimal)value.Ticks / TimeSpan.TicksPerSecond);
    }
}
