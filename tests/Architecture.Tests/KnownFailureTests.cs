using FtAkka.KnownFailures;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace FtAkka.Architecture.Tests;

/// <summary>The mark does what it says, and the table of docs/known-failures.md lists what is marked.</summary>
public sealed class KnownFailureTests
{
    private const string Source = """
        public sealed class GateTests
        {
            [KnownToFail(Issue.Promises, "The \"gate\" is open.", Shows = "open")]
            public void Gate_is_shut() => Assert.Fail("open");

            [KnownToFail(Issue.Isolation, "And it creaks.")]
            public async Task Gate_is_quiet()
            {
            }
        }
        """;

    private const string Rows = """
        | Case | Issue | Test | Today |
        | --- | --- | --- | --- |
        | 1 | Protected means protected | `GateTests.Gate_is_shut` | The "gate" is open. |
        | 2 | Isolation | `GateTests.Gate_is_quiet` | And it creaks. |

        """;

    [Fact]
    public void Table_lists_exactly_the_tests_that_are_marked()
    {
        string[] sources = [.. SourceTree.SourceFiles("tests").Where(file => !file.EndsWith("/KnownFailureTests.cs", StringComparison.Ordinal))
            .Select(file => File.ReadAllText(Path.Combine(SourceTree.Root, file)))];
        KnownFailure[] marked = [.. sources.SelectMany(KnownFailureRules.Marked)];
        Violations.None(KnownFailureRules.Differences(marked, [.. KnownFailureRules.Listed(File.ReadAllText(Path.Combine(SourceTree.Root, KnownFailureRules.Table)))]));
        Assert.Equal(sources.Sum(KnownFailureRules.Marks), marked.Length);
    }

    [Fact]
    public void Marks_and_rows_are_read_alike()
    {
        KnownFailure[] marked = [.. KnownFailureRules.Marked(Source)];
        Assert.Equal(
            [
                new KnownFailure("Protected means protected", "GateTests.Gate_is_shut", "The \"gate\" is open."),
                new KnownFailure("Isolation", "GateTests.Gate_is_quiet", "And it creaks."),
            ],
            marked);
        Assert.Equal(marked.Length, KnownFailureRules.Marks(Source));
        Assert.Equal(marked, KnownFailureRules.Listed(Rows));
        Assert.Empty(KnownFailureRules.Differences(marked, marked));
    }

    [Fact]
    public void Planted_mark_without_a_row_and_row_without_a_mark_are_seen()
    {
        KnownFailure[] marked = [.. KnownFailureRules.Marked(Source)];
        Assert.Equal(
            [
                "docs/known-failures.md lacks the row: Isolation | `GateTests.Gate_is_quiet` | And it creaks.",
                "docs/known-failures.md lists GateTests.Gate_is_new, and no such test is marked so (Isolation: It is not there.)",
            ],
            KnownFailureRules.Differences(marked, [marked[0], new KnownFailure("Isolation", "GateTests.Gate_is_new", "It is not there.")]));
        Assert.Equal(["docs/known-failures.md lists GateTests.Gate_is_shut more than once"], KnownFailureRules.Differences(marked, [.. marked, marked[0]]));
    }

    [Fact]
    public async Task Marked_test_that_fails_is_skipped_with_its_reason()
    {
        (RunSummary summary, IReadOnlyList<IMessageSinkMessage> said) = await RunAsync(nameof(Samples.Fails));
        Assert.Equal((1, 0, 1), (summary.Total, summary.Failed, summary.Skipped));
        Assert.Equal("known to fail: the gate is open (an issue). It says: open", Assert.Single(said.OfType<ITestSkipped>()).Reason);
        Assert.Empty(said.OfType<ITestFailed>());
    }

    [Fact]
    public async Task Marked_test_that_passes_is_red_and_says_what_to_do()
    {
        (RunSummary summary, IReadOnlyList<IMessageSinkMessage> said) = await RunAsync(nameof(Samples.Passes));
        Assert.Equal((1, 1, 0), (summary.Total, summary.Failed, summary.Skipped));
        Assert.StartsWith("passes: unmark it", Assert.Single(Assert.Single(said.OfType<ITestFailed>()).Messages), StringComparison.Ordinal);
        Assert.Empty(said.OfType<ITestPassed>());
    }

    [Fact]
    public async Task Marked_test_that_fails_otherwise_is_red()
    {
        (RunSummary summary, IReadOnlyList<IMessageSinkMessage> said) = await RunAsync(nameof(Samples.Fails), shows: "shut");
        Assert.Equal((1, 1, 0), (summary.Total, summary.Failed, summary.Skipped));
        Assert.Equal("fails for another reason than the known one, which shows \"shut\": open", Assert.Single(said.OfType<ITestFailed>()).Messages[0]);
        Assert.Equal((0, 1), (await RunAsync(nameof(Samples.Fails), shows: "op")) is var known ? (known.Summary.Failed, known.Summary.Skipped) : default);
    }

    [Fact]
    public async Task Marked_test_that_never_ends_is_red_after_its_time()
    {
        (RunSummary summary, IReadOnlyList<IMessageSinkMessage> said) = await RunAsync(nameof(Samples.Hangs), limit: TimeSpan.FromMilliseconds(200));
        Samples.Go.Set();
        Assert.Equal((1, 1, 0), (summary.Total, summary.Failed, summary.Skipped));
        Assert.StartsWith("has not ended within 0.2 s", Assert.Single(said.OfType<ITestFailed>()).Messages[0], StringComparison.Ordinal);
        Assert.Single(said.OfType<ITestCaseFinished>());
    }

    [Fact]
    public void Marked_test_is_the_same_after_its_way_to_another_process()
    {
        KnownToFailTestCase made = Make(nameof(Samples.Fails), "op", TimeSpan.FromSeconds(3));
        string text = SerializationHelper.Serialize(made);
        Assert.Equal(text, SerializationHelper.Serialize(SerializationHelper.Deserialize<KnownToFailTestCase>(text)));
    }

    private static async Task<(RunSummary Summary, IReadOnlyList<IMessageSinkMessage> Said)> RunAsync(string method, string? shows = null, TimeSpan? limit = null)
    {
        using var bus = new ListeningBus();
        using var cancelled = new CancellationTokenSource();
        RunSummary summary = await Make(method, shows, limit ?? TimeSpan.FromMinutes(1))
            .RunAsync(new NullMessageSink(), bus, [], new ExceptionAggregator(), cancelled);
        return (summary, bus.Said);
    }

    private static KnownToFailTestCase Make(string method, string? shows, TimeSpan limit)
    {
        var collection = new TestCollection(new TestAssembly(Reflector.Wrap(typeof(Samples).Assembly)), null, "samples");
        var type = new TestClass(collection, Reflector.Wrap(typeof(Samples)));
        var test = new TestMethod(type, Reflector.Wrap(typeof(Samples).GetMethod(method)!));
        return new KnownToFailTestCase(new NullMessageSink(), test, "an issue", "the gate is open", shows, limit);
    }

    private sealed class ListeningBus : IMessageBus
    {
        private readonly List<IMessageSinkMessage> said = [];

        public IReadOnlyList<IMessageSinkMessage> Said
        {
            get
            {
                lock (said)
                {
                    return [.. said];
                }
            }
        }

        public bool QueueMessage(IMessageSinkMessage message)
        {
            lock (said)
            {
                said.Add(message);
            }
            return true;
        }

        public void Dispose()
        {
        }
    }
}

#pragma warning disable xUnit1000 // Not found by xunit, and so it shall be: KnownFailureTests runs them.
internal sealed class Samples
#pragma warning restore xUnit1000
{
    public static ManualResetEventSlim Go { get; } = new();

    [Fact]
    public void Fails() => Assert.Fail("open");

    [Fact]
    public void Passes()
    {
    }

    [Fact]
    public void Hangs() => Go.Wait(TimeSpan.FromMinutes(1));
}
