using Xunit.Abstractions;
using Xunit.Sdk;

namespace FtAkka.KnownFailures;

/// <summary>Titles of the issues that make such facts pass.</summary>
internal static class Issue
{
    /// <summary>What goes wrong by guests, members and what they send.</summary>
    public const string Isolation = "Isolation: a process for each VM, no shared fate, no trust that was not given; members checked, guests and peers bounded";

    /// <summary>What goes wrong with promises to operators.</summary>
    public const string Promises = "Protected means protected: no false promise, no second copy, no VM lost by a verb";
}

/// <summary>
/// A fact that says how it shall be, and is not yet. While it fails it counts as skipped, with its reason; once it passes it is red until the mark is
/// gone. It runs either way, and must end within <see cref="SecondsMax"/>. docs/known-failures.md lists all of them.
/// </summary>
/// <param name="issue">Title of the issue that makes it pass.</param>
/// <param name="today">What goes wrong today.</param>
/// <remarks>
/// This file is compiled into each test project that has such facts. xunit finds the discoverer by the name of its assembly, which only that project
/// can say: each has a constant <see cref="ThisAssembly"/> for it.
/// </remarks>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("FtAkka.KnownFailures." + nameof(KnownToFailDiscoverer), ThisAssembly.Name)]
#pragma warning disable CS9113 // xunit reads the arguments from the metadata, before there is an object.
public sealed class KnownToFailAttribute(string issue, string today) : FactAttribute
#pragma warning restore CS9113
{
    /// <summary>A test that takes longer is red, whatever comes of it. All take seconds; this is for a host that is many times slower.</summary>
    public const int SecondsMax = 180;

    /// <summary>A part of the message with which it fails today: a test that fails otherwise is red. Null: any failure is the known one.</summary>
    public string? Shows { get; init; }
}

/// <summary>Makes the test cases of <see cref="KnownToFailAttribute"/>.</summary>
public sealed class KnownToFailDiscoverer(IMessageSink diagnostics) : IXunitTestCaseDiscoverer
{
    /// <inheritdoc/>
    public IEnumerable<IXunitTestCase> Discover(ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute)
    {
        string[] words = [.. factAttribute.GetConstructorArguments().Cast<string>()];
        yield return new KnownToFailTestCase(diagnostics, testMethod, words[0], words[1],
            factAttribute.GetNamedArgument<string?>(nameof(KnownToFailAttribute.Shows)), TimeSpan.FromSeconds(KnownToFailAttribute.SecondsMax));
    }
}

/// <summary>Runs a test as xunit does, and turns its outcome round.</summary>
public sealed class KnownToFailTestCase : XunitTestCase
{
    private string issue = "", today = "";
    private string? shows;
    private TimeSpan limit;

    /// <summary>For xunit, which fills it by <see cref="Deserialize"/>.</summary>
    [Obsolete("For deserialization only.")]
    public KnownToFailTestCase()
    {
    }

    /// <summary>A test case.</summary>
    public KnownToFailTestCase(IMessageSink diagnostics, ITestMethod testMethod, string issue, string today, string? shows, TimeSpan limit)
        : base(diagnostics, TestMethodDisplay.ClassAndMethod, TestMethodDisplayOptions.None, testMethod) =>
        (this.issue, this.today, this.shows, this.limit) = (issue, today, shows, limit);

    /// <inheritdoc/>
    public override void Serialize(IXunitSerializationInfo data)
    {
        base.Serialize(data);
        data.AddValue(nameof(issue), issue);
        data.AddValue(nameof(today), today);
        data.AddValue(nameof(shows), shows);
        data.AddValue(nameof(limit), limit.Ticks);
    }

    /// <inheritdoc/>
    public override void Deserialize(IXunitSerializationInfo data)
    {
        base.Deserialize(data);
        (issue, today) = (data.GetValue<string>(nameof(issue)), data.GetValue<string>(nameof(today)));
        (shows, limit) = (data.GetValue<string?>(nameof(shows)), new TimeSpan(data.GetValue<long>(nameof(limit))));
    }

    /// <inheritdoc/>
    public override async Task<RunSummary> RunAsync(
        IMessageSink diagnosticMessageSink, IMessageBus messageBus, object[] constructorArguments, ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource)
    {
        using var turned = new TurnedBus(this, messageBus);
        // On a thread of its own: a test that never returns must not keep the others from running.
        Task<RunSummary> run = Task.Factory.StartNew(
            () => base.RunAsync(diagnosticMessageSink, turned, constructorArguments, aggregator, cancellationTokenSource),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        if (await Task.WhenAny(run, Task.Delay(limit)) == run)
        {
            RunSummary ended = await run;
            return new RunSummary { Total = ended.Total, Failed = turned.Failed, Skipped = turned.Skipped, Time = ended.Time };
        }
        turned.GiveUp(new XunitTest(this, DisplayName));
        return new RunSummary { Total = 1, Failed = 1, Time = (decimal)limit.TotalSeconds };
    }

    /// <summary>The issue in a few words.</summary>
    private string Title => issue.Split(':')[0];

    private bool IsTheKnown(ITestFailed failed) => shows is null || failed.Messages.Any(message => message.Contains(shows, StringComparison.Ordinal));

    /// <summary>Passes everything on but the outcomes, and nothing after it gave up.</summary>
    private sealed class TurnedBus(KnownToFailTestCase test, IMessageBus bus) : IMessageBus
    {
        private readonly Lock sync = new();
        private bool closed;

        public int Failed { get; private set; }

        public int Skipped { get; private set; }

        public bool QueueMessage(IMessageSinkMessage message)
        {
            lock (sync)
            {
                return closed || bus.QueueMessage(Turn(message));
            }
        }

        public void GiveUp(ITest started)
        {
            lock (sync)
            {
                closed = true;
                bus.QueueMessage(Red(started, test.limit, "", $"has not ended within {test.limit.TotalSeconds} s: a test that is known to fail ({test.today}) has a time limit all the same"));
                bus.QueueMessage(new TestFinished(started, (decimal)test.limit.TotalSeconds, ""));
                bus.QueueMessage(new TestCaseFinished(test, (decimal)test.limit.TotalSeconds, 1, 1, 0));
            }
        }

        public void Dispose()
        {
            // The bus is xunit's.
        }

        private IMessageSinkMessage Turn(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestPassed passed:
                    Failed++;
                    return Red(passed.Test, TimeSpan.FromSeconds((double)passed.ExecutionTime), passed.Output,
                        $"passes: unmark it, and take it out of docs/known-failures.md. It was known to fail: {test.today} ({test.Title})");
                case ITestFailed failed when test.IsTheKnown(failed):
                    Skipped++;
                    return new TestSkipped(failed.Test, $"known to fail: {test.today} ({test.Title}). It says: {failed.Messages.FirstOrDefault()}");
                case ITestFailed failed:
                    Failed++;
                    return new TestFailed(failed.Test, failed.ExecutionTime, failed.Output, failed.ExceptionTypes,
                        [$"fails for another reason than the known one, which shows \"{test.shows}\": {failed.Messages.FirstOrDefault()}", .. failed.Messages.Skip(1)],
                        failed.StackTraces, failed.ExceptionParentIndices);
                case ITestCaseFinished finished:
                    return new TestCaseFinished(finished.TestCase, finished.ExecutionTime, finished.TestsRun, Failed, Skipped);
                default:
                    return message;
            }
        }

        private static TestFailed Red(ITest test, TimeSpan took, string output, string why) =>
            new(test, (decimal)took.TotalSeconds, output, [typeof(KnownToFailAttribute).FullName!], [why], [""], [-1]);
    }
}
