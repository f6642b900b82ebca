using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace FtAkka.VmmHost.Cli;

/// <summary>
/// Where a verb writes: results to standard output, progress and complaints to standard error. Colours, boxes and spinners appear
/// only on a terminal; into a pipe or a file goes plain text.
/// </summary>
public sealed class Terminal
{
    private const int PlainWidth = 160;

    private static readonly JsonSerializerOptions JsonOptions = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // the output is read by programs and people, never put into a web page
    };

    /// <summary>Writes to the given places; <see langword="null"/> lets the console be asked whether it is a terminal.</summary>
    public Terminal(TextWriter output, TextWriter error, bool? outputIsTerminal = null, bool? errorIsTerminal = null)
    {
        Output = output;
        ErrorOutput = error;
        Out = CreateConsole(output, outputIsTerminal ?? !Console.IsOutputRedirected);
        Error = CreateConsole(error, errorIsTerminal ?? !Console.IsErrorRedirected);
    }

    /// <summary>Standard output, for results.</summary>
    public IAnsiConsole Out { get; }

    /// <summary>Standard error, for progress and complaints.</summary>
    public IAnsiConsole Error { get; }

    /// <summary>Standard output without any formatting.</summary>
    public TextWriter Output { get; }

    /// <summary>Standard error without any formatting.</summary>
    public TextWriter ErrorOutput { get; }

    /// <summary>Writes one JSON document, the whole result of a verb run with <c>--json</c>.</summary>
    public void WriteJson<T>(T document) => Output.WriteLine(JsonSerializer.Serialize(document, JsonOptions));

    /// <summary>Says on standard error what is going on.</summary>
    public void Progress(string line) => Error.MarkupLineInterpolated($"[grey]{line}[/]");

    private static IAnsiConsole CreateConsole(TextWriter writer, bool isTerminal)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!isTerminal)
        {
            // A pipe has no width; Spectre would assume 80 columns and break lines that scripts read.
            console.Profile.Width = PlainWidth;
            console.Profile.Capabilities.Unicode = false;
        }
        return console;
    }
}
