using System.Text.RegularExpressions;
using Akka.Event;
using FtAkka.LogChannelActors.Remoting.Tcp;

namespace FtAkka.VmmHost.Vms;

/// <summary>
/// Shortens what Akka.Remote logs. It says the loss of one connection in up to five lines, two of them with the calls that led there, and
/// repeats three of them with each heartbeat to a node that is away. The transport's own line and one warning of Akka's tell the same.
/// </summary>
internal static partial class RemotingLines
{
    private static readonly string[] SaidByAnotherLine =
    [
        "Tried to associate with unreachable remote address",
        "Removing receive buffers for",
        "Association with remote system",
        "Disassociated",
    ];

    /// <summary>Whether an entry was written by Akka.Remote, and not by a transport of ours.</summary>
    /// <param name="logClass">The class that logged the entry.</param>
    /// <param name="logSource">Its source: an actor's path, or a name and the system's address.</param>
    public static bool IsOfRemoting(Type? logClass, string logSource) =>
        logClass?.Namespace?.StartsWith("Akka.Remote", StringComparison.Ordinal) == true
        || logSource.StartsWith("remoting (", StringComparison.Ordinal)
        || logSource.Contains("/system/endpointManager/", StringComparison.Ordinal);

    /// <summary>The level at which an entry of Akka.Remote is worth reading: what another line says too is for those who debug.</summary>
    public static LogLevel LevelOf(string text, LogLevel level) =>
        Array.Exists(SaidByAnotherLine, start => text.StartsWith(start, StringComparison.Ordinal))
        || text.Contains(TcpTransport.NotTriedAgain, StringComparison.Ordinal) ? LogLevel.DebugLevel : level;

    /// <summary>The text without the calls that led to an error.</summary>
    public static string WithoutCalls(string text) => Calls().Replace(text, "");

    [GeneratedRegex(@"(\r?\n\s+at [^\r\n\]]*)+", RegexOptions.CultureInvariant)]
    private static partial Regex Calls();
}
