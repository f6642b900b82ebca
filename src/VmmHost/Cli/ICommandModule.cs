using System.CommandLine;

namespace FtAkka.VmmHost.Cli;

/// <summary>
/// One verb of the command line. A verb is added by adding one public class that implements this interface, with a constructor
/// without parameters; <see cref="CommandLineApplication"/> finds it.
/// </summary>
public interface ICommandModule
{
    /// <summary>The words that select the verb, such as <c>doctor</c> or <c>bench wire</c>. Leading words name a <see cref="CommandGroup"/>.</summary>
    string Path { get; }

    /// <summary>
    /// Makes the command with its options and its action. The action returns an <see cref="ExitCode"/>, writes results to
    /// <paramref name="terminal"/>, and throws <see cref="CommandFailedException"/> for failures that the user can understand.
    /// </summary>
    Command Create(Terminal terminal);
}
