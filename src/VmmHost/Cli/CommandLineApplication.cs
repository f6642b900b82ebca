using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Sim;
using Spectre.Console;

namespace FtAkka.VmmHost.Cli;

/// <summary>The command line: puts the verbs together, parses, runs, and turns failures into text and exit codes.</summary>
public sealed class CommandLineApplication
{
    private const string ProgramName = "ftakka";
    private const string VerbMissing = "Required command was not provided.";

    private readonly Terminal terminal;
    private readonly TextWriter error;
    private readonly Command root;

    /// <summary>An application with these verbs, writing to these places.</summary>
    /// <exception cref="InvalidOperationException">Two verbs have the same path, or a path names an unknown group.</exception>
    public CommandLineApplication(IEnumerable<ICommandModule> modules, TextWriter output, TextWriter error)
    {
        ArgumentNullException.ThrowIfNull(modules);
        this.error = error;
        bool isConsole = ReferenceEquals(output, Console.Out);
        terminal = new Terminal(output, error, isConsole ? null : false, isConsole ? null : false);
        // Not a RootCommand: that one calls itself by the file name of the executable, and users know it as ftakka.
        root = new Command(ProgramName, "FtAkka: a fault-tolerant virtual machine monitor for 64-bit Linux guests.")
        {
            new HelpOption { Recursive = true },
            new VersionOption(),
        };
        foreach (ICommandModule module in modules.OrderBy(module => module.Path, StringComparer.Ordinal))
        {
            Add(module);
        }
    }

    /// <summary>The application that the executable runs: every verb in this assembly, on the process's standard streams.</summary>
    public static CommandLineApplication Standard() => new(FindModules(), Console.Out, Console.Error);

    /// <summary>Every verb in this assembly.</summary>
    public static IReadOnlyList<ICommandModule> FindModules() =>
    [
        .. typeof(ICommandModule).Assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false } && type.IsAssignableTo(typeof(ICommandModule)))
            .Select(type => (ICommandModule)Activator.CreateInstance(type)!),
    ];

    /// <summary>How long a verb may take to end after a signal, before the process does.</summary>
    private static readonly TimeSpan SignalPatience = TimeSpan.FromSeconds(2);

    /// <summary>Parses and runs. Never throws for what a user typed or for what a verb ran into.</summary>
    /// <returns>An <see cref="ExitCode"/>.</returns>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            return ReportUsage(parsed);
        }
        try
        {
            var configuration = new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = PatienceOf(parsed.CommandResult.Command.Name),
            };
            return await parsed.InvokeAsync(configuration).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return Fail("interrupted", null);
        }
        catch (CommandFailedException failure)
        {
            return Fail(failure.Message, failure.InnerException);
        }
#pragma warning disable CA1031 // The last stop before the user: whatever went wrong becomes a line and an exit code.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return Fail($"unexpected {failure.GetType().Name}: {failure.Message}", failure);
        }
    }

    /// <summary>A node has signals of its own: handing its VMs over takes longer than the parser waits. An exploration ends the seeds under way.</summary>
    private static TimeSpan? PatienceOf(string verb) => verb switch
    {
        HostCommandModule.Verb => null,
        SimExploreCommand.Verb => SimExploreCommand.SignalPatience,
        _ => SignalPatience,
    };

    private void Add(ICommandModule module)
    {
        Command parent = root;
        string[] words = module.Path.Split(' ');
        foreach (string word in words[..^1])
        {
            parent = parent.Subcommands.FirstOrDefault(command => command.Name == word) ?? AddGroup(parent, word, module);
        }
        Command command = module.Create(terminal);
        if (command.Name != words[^1])
        {
            throw new InvalidOperationException($"{module.GetType()} has the path '{module.Path}' and makes the command '{command.Name}'.");
        }
        if (parent.Subcommands.Any(other => other.Name == command.Name))
        {
            throw new InvalidOperationException($"Two command modules have the path '{module.Path}'.");
        }
        parent.Subcommands.Add(command);
    }

    private static Command AddGroup(Command parent, string word, ICommandModule module)
    {
        CommandGroup group = CommandGroup.All.FirstOrDefault(group => group.Name == word)
            ?? throw new InvalidOperationException($"{module.GetType()} is in the group '{word}', which {nameof(CommandGroup)} does not know.");
        var command = new Command(group.Name, group.Description);
        parent.Subcommands.Add(command);
        return command;
    }

    private int ReportUsage(ParseResult parsed)
    {
        if (parsed.Tokens.Count == 0)
        {
            root.Parse("--help").Invoke(new InvocationConfiguration { Output = error, Error = error });
            return ExitCode.Usage;
        }
        // A mistyped verb is reported by the parser as a verb missing as well; the mistyped word is what the user needs to hear of.
        string[] messages = [.. parsed.Errors.Select(problem => problem.Message).Distinct(StringComparer.Ordinal)];
        string[] telling = [.. messages.Where(message => message != VerbMissing)];
        foreach (string message in telling.Length > 0 ? telling : messages)
        {
            error.WriteLine($"{ProgramName}: {message}");
        }
        string verb = string.Join(' ', Ancestors(parsed.CommandResult.Command));
        error.WriteLine($"Try './{ProgramName}{(verb.Length > 0 ? " " + verb : "")} --help'.");
        return ExitCode.Usage;
    }

    private static List<string> Ancestors(Command command)
    {
        var words = new List<string>();
        for (Command? current = command; current is { Name: not ProgramName }; current = current.Parents.OfType<Command>().FirstOrDefault())
        {
            words.Insert(0, current.Name);
        }
        return words;
    }

    private int Fail(string message, Exception? cause)
    {
        terminal.Error.MarkupLineInterpolated($"[red]{ProgramName}:[/] {message}");
        if (cause is not null && Environment.GetEnvironmentVariable("FTAKKA_DEBUG") == "1")
        {
            error.WriteLine(cause);
        }
        return ExitCode.Failed;
    }
}
