using Akka.Actor;
using Akka.Event;
using Microsoft.Extensions.Logging;
using LogLevel = Microsoft.Extensions.Logging.LogLevel;

namespace FtAkka.VmmHost.Vms;

/// <summary>
/// Hands Akka's log to the process's loggers (<see cref="HostLogSetup"/>). A message's form goes along with its text.
/// </summary>
public sealed class StandardErrorLogger : ReceiveActor
{
    private static readonly Akka.Event.LogLevel[] Levels =
        [Akka.Event.LogLevel.DebugLevel, Akka.Event.LogLevel.InfoLevel, Akka.Event.LogLevel.WarningLevel, Akka.Event.LogLevel.ErrorLevel];

    /// <summary>Akka.Remote tells of a node that is away with each heartbeat to it.</summary>
    private static readonly TimeSpan RemotingQuiet = TimeSpan.FromSeconds(30);

    private readonly ILoggerFactory loggers;
    private Akka.Event.LogLevel least;
    private readonly RepeatedLines remoting = new(RemotingQuiet);

    /// <summary>Instantiated by Akka, by the name in akka.hocon.</summary>
    public StandardErrorLogger()
    {
        loggers = Context.System.Settings.Setup.Get<HostLogSetup>() is { HasValue: true } given ? given.Value.Loggers : HostLog.OnStandardError(LogFormat.Text);
        Receive<InitializeLogger>(start =>
        {
            least = start.LoggingBus.LogLevel;
            // The bus subscribes a logger some time after its answer, on another thread: what is said until then would be lost.
            foreach (Akka.Event.LogLevel level in Levels.Where(level => level >= start.LoggingBus.LogLevel))
            {
                start.LoggingBus.Subscribe(Self, level.ClassFor());
            }
            Sender.Tell(new LoggerInitialized());
        });
        Receive<LogEvent>(Write);
    }

    private void Write(LogEvent entry)
    {
        string text = entry.Message?.ToString() ?? "";
        Akka.Event.LogLevel said = entry.LogLevel();
        Exception? cause = entry.Cause;
        int dropped = 0;
        if (RemotingLines.IsOfRemoting(entry.LogClass, entry.LogSource))
        {
            said = RemotingLines.LevelOf(text, said);
            if (least > Akka.Event.LogLevel.DebugLevel)
            {
                text = RemotingLines.WithoutCalls(text);
                cause = null;
            }
            if (said < least || !remoting.IsDue(text, Environment.TickCount64, out dropped))
            {
                return;
            }
        }
        LogLevel level = said switch
        {
            Akka.Event.LogLevel.ErrorLevel => LogLevel.Error,
            Akka.Event.LogLevel.WarningLevel => LogLevel.Warning,
            Akka.Event.LogLevel.InfoLevel => LogLevel.Information,
            _ => LogLevel.Debug,
        };
        ILogger logger = loggers.CreateLogger(entry.LogSource);
        if (logger.IsEnabled(level))
        {
            text += dropped > 0 ? $" (said {dropped} more times meanwhile)" : "";
            // The form of a message is the same whatever it is about: programs tell events apart by it.
            KeyValuePair<string, object?>[] values = entry.Message is LogMessage formatted ? [new("{OriginalFormat}", formatted.Format)] : [];
            logger.Log(level, default, values, cause, (_, _) => text);
        }
    }
}
