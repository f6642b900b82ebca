using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Xunit.Abstractions;

namespace Akka.TestKit.Xunit2;

/// <summary>
/// Base class of an xunit test that needs an actor system: one system for each test, stopped when the test ends. Inside the test
/// <see cref="TestKitBase.TestActor"/> is the implicit sender.
/// </summary>
public class TestKit : TestKitBase, IDisposable
{
    /// <summary>A system with the default configuration.</summary>
    public TestKit(string? config = null, string? actorSystemName = null, ITestOutputHelper? output = null)
        : this(config is null ? Configuration.Config.Empty : ConfigurationFactory.ParseString(config), actorSystemName, output)
    {
    }

    /// <summary>A system with this configuration on top of the defaults.</summary>
    public TestKit(Config config, string? actorSystemName = null, ITestOutputHelper? output = null)
        : base(ActorSystem.Create(actorSystemName ?? "test", (config ?? Configuration.Config.Empty).WithFallback(DefaultConfig)), null)
    {
        AttachOutput(output);
    }

    /// <summary>A system built from this setup; its configuration is taken as it is.</summary>
    public TestKit(ActorSystemSetup setup, string? actorSystemName = null, ITestOutputHelper? output = null)
        : base(ActorSystem.Create(actorSystemName ?? "test", setup), null)
    {
        AttachOutput(output);
    }

    /// <summary>A system that the test made itself. It is stopped when the test ends, as with the other constructors.</summary>
    public TestKit(ActorSystem system, ITestOutputHelper? output = null)
        : base(system, null)
    {
        AttachOutput(output);
    }

    /// <summary>Stops the actor system. Override to do more at the end of a test.</summary>
    protected virtual void AfterAll() => Shutdown();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Called once by <see cref="Dispose()"/>.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            AfterAll();
            ReleaseImplicitSender();
        }
    }

    private void AttachOutput(ITestOutputHelper? output)
    {
        if (output is not null)
        {
            Sys.ActorOf(Props.Create(() => new TestOutputWriter(output)), "test-output");
        }
    }
}
