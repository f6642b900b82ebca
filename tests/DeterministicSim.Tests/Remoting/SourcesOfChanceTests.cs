using Akka.Actor;
using Akka.Remote;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>
/// Where the official assemblies ask for time, chance and threads of the process. Each such place was looked at: the simulator replaces it, closes
/// it by a setting, or never comes there (docs/simulation.md). A version of a package that has another place must be looked at again.
/// </summary>
public sealed class SourcesOfChanceTests
{
    private const string Golden = "sources-of-chance.golden";

    private static readonly string[] Sources =
    [
        "System.DateTime.get_UtcNow", "System.DateTime.get_Now", "System.DateTime.get_Today", "System.DateTimeOffset.get_UtcNow", "System.DateTimeOffset.get_Now",
        "System.Diagnostics.Stopwatch.", "System.Environment.get_TickCount", "System.Environment.get_TickCount64", "System.Random.", "System.Guid.NewGuid",
        "System.Security.Cryptography.RandomNumberGenerator.", "System.TimeProvider.", "System.Threading.ThreadPool.", "System.Threading.Thread..ctor",
        "System.Threading.Thread.Start", "System.Threading.Thread.Sleep", "System.Threading.Timer.", "System.Timers.Timer.", "System.Threading.PeriodicTimer.",
        "System.Threading.Tasks.Task.Run", "System.Threading.Tasks.Task.Delay", "System.Threading.Tasks.TaskFactory.StartNew",
        "System.Threading.CancellationTokenSource.CancelAfter",

        // Akka's own, through which the rest of it asks.
        "Akka.Remote.Deadline.get_Now", "Akka.Remote.Deadline.get_IsOverdue", "Akka.Remote.Deadline.get_HasTimeLeft", "Akka.Remote.Deadline.get_TimeLeft",
        "Akka.Remote.FailureDetector.get_DefaultClock", "Akka.Util.MonotonicClock.", "Akka.Util.ThreadLocalRandom.get_Current",
        "Akka.Util.Internal.TaskEx.NonBlockingTaskCompletionSource",
    ];

    [Fact]
    public void Every_place_is_known()
    {
        string[] found = [.. new[] { typeof(ActorSystem), typeof(RemoteActorRefProvider) }.SelectMany(type => Places(type.Assembly.Location))];
        string path = Path.Combine(SourceFolder(), Golden);
        if (Environment.GetEnvironmentVariable("FTAKKA_RENEW_GOLDEN") == "1")
        {
            File.WriteAllLines(path, found);
        }

        string[] known = File.ReadAllLines(path);
        Assert.True(found.Length > 40, "the scan sees next to nothing");
        Assert.True(found.SequenceEqual(known),
            $"Look at each place, close what shows in a simulation, and renew {Golden} (FTAKKA_RENEW_GOLDEN=1).\n"
            + $"New:\n{string.Join('\n', found.Except(known))}\nGone:\n{string.Join('\n', known.Except(found))}");
    }

    [Fact]
    public void Scan_sees_a_place_in_this_assembly()
    {
        string place = $"{typeof(SourcesOfChanceTests).FullName}.{nameof(Planted)} -> System.DateTime.get_UtcNow";
        Assert.Contains(place, AssemblyCalls.Read(typeof(SourcesOfChanceTests).Assembly.Location));
    }

    private static DateTime Planted() => DateTime.UtcNow;

    private static IEnumerable<string> Places(string assembly) => AssemblyCalls.Read(assembly)
        .Where(place => Sources.Any(source => Matches(place[(place.IndexOf(" -> ", StringComparison.Ordinal) + 4)..], source)))
        .Distinct().Order(StringComparer.Ordinal);

    private static bool Matches(string member, string source) =>
        source.EndsWith('.') ? member.StartsWith(source, StringComparison.Ordinal) : member == source;

    private static string SourceFolder([System.Runtime.CompilerServices.CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
