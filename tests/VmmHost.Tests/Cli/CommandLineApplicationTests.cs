using System.CommandLine;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Cli;

public sealed class CommandLineApplicationTests
{
    private sealed class Verb(string path, Func<int> run) : ICommandModule
    {
        public string Path => path;

        public Command Create(Terminal terminal)
        {
            var count = new Option<int>("--count") { Description = "How many.", Required = true };
            var command = new Command(path.Split(' ')[^1], "Does a thing.") { count };
            command.SetAction(parsed =>
            {
                terminal.Output.WriteLine($"count {parsed.GetValue(count)}");
                return run();
            });
            return command;
        }
    }

    private readonly StringWriter output = new();
    private readonly StringWriter error = new();

    [Fact]
    public async Task Verb_runs_with_its_options_and_its_exit_code_is_the_programs()
    {
        Assert.Equal(ExitCode.Ok, await Run(() => ExitCode.Ok, "bench", "thing", "--count", "3"));
        Assert.Equal("count 3\n", output.ToString());
        Assert.Equal("", error.ToString());
        Assert.Equal(ExitCode.Failed, await Run(() => ExitCode.Failed, "bench", "thing", "--count", "3"));
    }

    [Theory]
    [InlineData("ftakka: Unrecognized command or argument 'bogus'.\nTry './ftakka --help'.\n", "bogus")]
    [InlineData("ftakka: Unrecognized command or argument '--wat'.\nTry './ftakka bench thing --help'.\n", "bench", "thing", "--count", "1", "--wat")]
    [InlineData("ftakka: Option '--count' is required.\nTry './ftakka bench thing --help'.\n", "bench", "thing")]
    [InlineData("ftakka: Required command was not provided.\nTry './ftakka bench --help'.\n", "bench")]
    public async Task Mistyped_command_line_is_a_usage_error_that_names_the_mistake(string complaint, params string[] arguments)
    {
        Assert.Equal(ExitCode.Usage, await Run(() => ExitCode.Ok, arguments));
        Assert.Equal(complaint, error.ToString());
        Assert.Equal("", output.ToString());
    }

    [Fact]
    public async Task Empty_command_line_is_a_usage_error_and_shows_the_verbs()
    {
        Assert.Equal(ExitCode.Usage, await Run(() => ExitCode.Ok));
        Assert.Contains("bench", error.ToString(), StringComparison.Ordinal);
        Assert.Equal("", output.ToString());
    }

    [Fact]
    public async Task Help_of_a_verb_wins_over_missing_options_and_says_ftakka()
    {
        Assert.Equal(ExitCode.Ok, await Run(() => ExitCode.Failed, "bench", "thing", "--help"));
        Assert.Contains("ftakka bench thing [options]", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("How many.", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_is_printed_alone()
    {
        Assert.Equal(ExitCode.Ok, await Run(() => ExitCode.Failed, "--version"));
        Assert.Matches(@"^\d+\.\d+\.\d+\S*\n$", output.ToString());
    }

    [Fact]
    public async Task Failure_of_a_verb_is_one_line_on_standard_error()
    {
        Assert.Equal(ExitCode.Failed, await Run(() => throw new CommandFailedException("no kernel at /boot/vmlinuz [gone]"), "bench", "thing", "--count", "1"));
        Assert.Equal("ftakka: no kernel at /boot/vmlinuz [gone]\n", error.ToString());
    }

    [Fact]
    public async Task Unforeseen_exception_is_one_line_too()
    {
        Assert.Equal(ExitCode.Failed, await Run(() => throw new FormatException("odd"), "bench", "thing", "--count", "1"));
        Assert.Equal("ftakka: unexpected FormatException: odd\n", error.ToString());
    }

    [Fact]
    public void Group_without_a_description_and_path_used_twice_are_refused()
    {
        Assert.Throws<InvalidOperationException>(() => Application([new Verb("nogroup thing", () => 0)]));
        Assert.Throws<InvalidOperationException>(() => Application([new Verb("bench thing", () => 0), new Verb("bench thing", () => 0)]));
    }

    [Fact]
    public async Task Every_verb_of_the_program_has_help()
    {
        Assert.NotEmpty(CommandLineApplication.FindModules());
        foreach (ICommandModule module in CommandLineApplication.FindModules())
        {
            var text = new StringWriter();
            var application = new CommandLineApplication(CommandLineApplication.FindModules(), text, error);
            Assert.Equal(ExitCode.Ok, await application.RunAsync([.. module.Path.Split(' '), "--help"]));
            Assert.Contains($"ftakka {module.Path}", text.ToString(), StringComparison.Ordinal);
        }
    }

    private Task<int> Run(Func<int> verb, params string[] arguments) => Application([new Verb("bench thing", verb)]).RunAsync(arguments);

    private CommandLineApplication Application(IEnumerable<ICommandModule> modules) => new(modules, output, error);
}
