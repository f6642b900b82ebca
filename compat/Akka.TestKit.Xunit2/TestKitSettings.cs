using Akka.Configuration;

namespace Akka.TestKit;

/// <summary>The waiting times of a test, from <c>akka.test</c>.</summary>
public sealed class TestKitSettings
{
    /// <summary>Reads the settings of <paramref name="config"/>; what it lacks has Akka's default.</summary>
    public TestKitSettings(Config config)
    {
        TestTimeFactor = config.GetDouble("akka.test.timefactor", 1.0);
        SingleExpectDefault = config.GetTimeSpan("akka.test.single-expect-default", TimeSpan.FromSeconds(3));
        ExpectNoMessageDefault = config.GetTimeSpan("akka.test.expect-no-message-default", TimeSpan.FromMilliseconds(100));
        DefaultTimeout = config.GetTimeSpan("akka.test.default-timeout", TimeSpan.FromSeconds(5));
        FilterLeeway = config.GetTimeSpan("akka.test.filter-leeway", TimeSpan.FromSeconds(3));
    }

    /// <summary>Factor on explicit waiting times, for slow machines.</summary>
    public double TestTimeFactor { get; }

    /// <summary>How long a single expectation waits outside <c>Within</c>.</summary>
    public TimeSpan SingleExpectDefault { get; }

    /// <summary>How long <c>ExpectNoMsg()</c> listens.</summary>
    public TimeSpan ExpectNoMessageDefault { get; }

    /// <summary>How long other operations wait.</summary>
    public TimeSpan DefaultTimeout { get; }

    /// <summary>How long an event filter waits for what it expects.</summary>
    public TimeSpan FilterLeeway { get; }
}
