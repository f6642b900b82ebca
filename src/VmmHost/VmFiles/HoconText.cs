using System.Runtime.ExceptionServices;
using System.Text;
using Akka.Configuration;
using Akka.Configuration.Hocon;
using FtAkka.Nodes.HostFiles;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>
/// Reads HOCON that a user wrote. Akka's parser calls itself for each level of nesting, takes a time that grows with the square of it, and what it makes is
/// walked likewise, so that a small file could end the process by its stack, or hold it up for minutes. Here a text may have so many levels only, and the parser
/// a stack that is deep enough for them; what then is nested deeper than anybody writes is refused as well.
/// </summary>
internal static class HoconText
{
    /// <summary>Longest text, in bytes or characters.</summary>
    public const int LengthMax = 128 << 10;

    /// <summary>Deepest nesting of objects and lists; nothing that is read here needs a tenth of it.</summary>
    public const int NestingMax = 64;

    /// <summary>Most characters that may open a level, wherever they stand: a thousand addresses of peers have three thousand dots.</summary>
    public const int OpenersMax = 4096;

    /// <summary>No level takes as much as a kibibyte.</summary>
    private const int ParserStackBytes = 16 << 20;

    private static readonly TimeSpan ReadTime = TimeSpan.FromSeconds(10);

    /// <summary>Reads a file's text.</summary>
    /// <exception cref="IOException">It is missing, too long, no regular file, or cannot be read in time. The message names it.</exception>
    public static string ReadFile(string path)
    {
        using var reader = new StreamReader(new MemoryStream(RegularFile.ReadWithin(ReadTime, path, LengthMax)), Encoding.UTF8);
        return reader.ReadToEnd();
    }

    /// <summary>Parses a text.</summary>
    /// <exception cref="FormatException">It is too long, is or may be nested too deep, or has substitutions. The parser throws others of its own.</exception>
    public static Config Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > LengthMax)
        {
            throw new FormatException($"it has {text.Length} characters; at most {LengthMax} are read");
        }
        if (text.Count(letter => letter is '{' or '[' or '.') is > OpenersMax and var openers)
        {
            throw new FormatException($"it has {openers} opening brackets and dots; with more than {OpenersMax} it may be nested too deep");
        }
        if (text.Contains("${", StringComparison.Ordinal))
        {
            // One that leads to itself is followed without end.
            throw new FormatException("it has a substitution (${...}), and these are not read here: write the value itself, or \\u0024 for the dollar sign");
        }
        Config parsed = ParseOnDeepStack(text);
        RefuseDeep(parsed.Root);
        return parsed;
    }

    private static Config ParseOnDeepStack(string text)
    {
        Config? parsed = null;
        ExceptionDispatchInfo? failure = null;
        var parser = new Thread(() =>
        {
            try
            {
                parsed = ConfigurationFactory.ParseString(text);
            }
#pragma warning disable CA1031 // Whatever the parser stumbles over goes to whoever asked, on his own thread.
            catch (Exception stumbled)
#pragma warning restore CA1031
            {
                failure = ExceptionDispatchInfo.Capture(stumbled);
            }
        }, ParserStackBytes) { IsBackground = true, Name = "hocon" };
        parser.Start();
        parser.Join();
        failure?.Throw();
        return parsed!;
    }

    private static void RefuseDeep(HoconValue? root)
    {
        var left = new Stack<(HoconValue Value, int Level)>();
        if (root is not null)
        {
            left.Push((root, 0));
        }
        while (left.TryPop(out (HoconValue Value, int Level) next))
        {
            if (next.Level > NestingMax)
            {
                throw new FormatException($"it is nested deeper than {NestingMax} levels");
            }
            foreach (HoconValue inner in next.Value.Values.SelectMany(Inner))
            {
                left.Push((inner, next.Level + 1));
            }
        }
    }

    private static IEnumerable<HoconValue> Inner(IHoconElement element) => element switch
    {
        HoconObject fields => fields.Items.Values,
        HoconArray items => items,
        _ => [],
    };
}
