using Akka.Actor;
using Akka.Event;

namespace FtAkka.VmmHost.Vms;

/// <summary>Akka's log on standard error: standard output belongs to the guest's console, or to a verb's result.</summary>
public sealed class StandardErrorLogger : ReceiveActor
{
    /// <summary>Instantiated by Akka, by the name in akka.hocon.</summary>
    public StandardErrorLogger()
    {
        Receive<InitializeLogger>(_ => Sender.Tell(new LoggerInitialized()));
        Receive<LogEvent>(Write);
    }

    private static void Write(LogEvent entry)
    {
        string level = entry.LogLevel().ToString().Replace("Level", "", StringComparison.Ordinal).ToLowerInvariant();
        Console.Error.WriteLine($"ftakka: {level}: {entry.Message} [{entry.LogSource}]");
        if (entry.Cause is { } cause)
        {
            Console.Error.WriteLine(cause);
        }
    }
}
