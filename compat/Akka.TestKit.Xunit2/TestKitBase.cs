using Akka.Actor;
using Akka.Actor.Internal;
using Akka.Configuration;
using Akka.Event;
using Akka.TestKit.Internal;

namespace Akka.TestKit;

/// <summary>A test actor, and what a test asks of it: expectations on the messages it receives, in order, and waiting.</summary>
public abstract partial class TestKitBase
{
    private static int testActorNumber;

    private readonly ReceivedMessages received = new();
    private readonly SynchronizationContext? contextBefore;
    private readonly bool isImplicitSender;
    private MessageEnvelope? last;
    private DateTime? end;

    private protected TestKitBase(ActorSystem system, string? testActorName)
    {
        Sys = system;
        TestKitSettings = new TestKitSettings(system.Settings.Config);
        string name = testActorName ?? $"testActor{Interlocked.Increment(ref testActorNumber)}";
        TestActor = ((ExtendedActorSystem)system).SystemActorOf(Props.Create(() => new InternalTestActor(received)), name);
        EventFilter = new EventFilterFactory(this);
        if (this is not INoImplicitSender)
        {
            ActorCell cell = AwaitCell((RepointableActorRef)TestActor);
            isImplicitSender = true;
            contextBefore = SynchronizationContext.Current;
            InternalCurrentActorCellKeeper.Current = cell;
            SynchronizationContext.SetSynchronizationContext(new ActorCellKeepingSynchronizationContext(cell));
        }
    }

    /// <summary>What a test's system is configured with beneath the test's own configuration.</summary>
    public static Config DefaultConfig { get; } = ConfigurationFactory.ParseString(
        """
        akka {
          loglevel = WARNING
          stdout-loglevel = WARNING
          log-dead-letters-during-shutdown = off
          test {
            timefactor = 1.0
            filter-leeway = 3s
            single-expect-default = 3s
            expect-no-message-default = 100ms
            default-timeout = 5s
          }
          coordinated-shutdown.run-by-clr-shutdown-hook = off
        }
        """);

    /// <summary>The actor system of the test.</summary>
    public ActorSystem Sys { get; }

    /// <summary>The actor whose messages are looked at.</summary>
    public IActorRef TestActor { get; }

    /// <summary>Waiting times.</summary>
    public TestKitSettings TestKitSettings { get; }

    /// <summary>Expectations on the system's log.</summary>
    public EventFilterFactory EventFilter { get; }

    /// <summary>The system's log.</summary>
    public ILoggingAdapter Log => Sys.Log;

    /// <summary>Sender of the last message looked at.</summary>
    public IActorRef LastSender => last?.Sender ?? ActorRefs.NoSender;

    /// <summary>Last message looked at.</summary>
    public object? LastMessage => last?.Message;

    /// <summary>Whether a message waits to be looked at.</summary>
    public bool HasMessages => received.Count > 0;

    /// <summary>Time left inside <c>Within</c>, or the default of a single expectation.</summary>
    public TimeSpan RemainingOrDefault => Remaining(TestKitSettings.SingleExpectDefault);

    /// <summary>Stretches a duration by the configured factor.</summary>
    public TimeSpan Dilated(TimeSpan duration) => duration * TestKitSettings.TestTimeFactor;

    /// <summary>Another test actor in the same system.</summary>
    public virtual TestProbe CreateTestProbe(string? name = null) => new(Sys, name);

    /// <summary>Another test actor in <paramref name="system"/>.</summary>
    public virtual TestProbe CreateTestProbe(ActorSystem system, string? name = null) => new(system, name);

    /// <summary>Creates an actor under /user.</summary>
    public IActorRef ActorOf(Props props, string? name = null) => Sys.ActorOf(props, name);

    /// <summary>Creates an actor under /user.</summary>
    public IActorRef ActorOf<TActor>(string? name = null) where TActor : ActorBase, new() => Sys.ActorOf(Props.Create<TActor>(), name);

    /// <summary>Creates an actor under /user.</summary>
    public IActorRef ActorOf<TActor>(System.Linq.Expressions.Expression<Func<TActor>> factory, string? name = null)
        where TActor : ActorBase => Sys.ActorOf(Props.Create(factory), name);

    /// <summary>Lets the test actor watch <paramref name="actor"/>; returns once the watch is in place.</summary>
    public IActorRef Watch(IActorRef actor)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        TestActor.Tell(new InternalTestActor.Watch(actor, done), ActorRefs.NoSender);
        AwaitDone(done.Task, "watch");
        return actor;
    }

    /// <summary>Undoes <see cref="Watch"/>.</summary>
    public IActorRef Unwatch(IActorRef actor)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        TestActor.Tell(new InternalTestActor.Unwatch(actor, done), ActorRefs.NoSender);
        AwaitDone(done.Task, "unwatch");
        return actor;
    }

    /// <summary>Lets <paramref name="pilot"/> answer messages before the test sees them.</summary>
    public void SetAutoPilot(AutoPilot pilot) => TestActor.Tell(new InternalTestActor.Pilot(pilot), ActorRefs.NoSender);

    /// <summary>Stops the test's system and waits for its end.</summary>
    public virtual void Shutdown(TimeSpan? duration = null, bool verifySystemShutdown = false) => Shutdown(Sys, duration, verifySystemShutdown);

    /// <summary>Stops <paramref name="system"/> and waits for its end.</summary>
    public virtual void Shutdown(ActorSystem system, TimeSpan? duration = null, bool verifySystemShutdown = false)
    {
        ArgumentNullException.ThrowIfNull(system);
        bool ended = system.Terminate().Wait(duration ?? Dilated(TestKitSettings.DefaultTimeout));
        if (!ended && verifySystemShutdown)
        {
            throw new TimeoutException($"The actor system {system.Name} did not stop in time.");
        }
    }

    private protected void ReleaseImplicitSender()
    {
        if (isImplicitSender)
        {
            InternalCurrentActorCellKeeper.Current = null;
            SynchronizationContext.SetSynchronizationContext(contextBefore);
        }
    }

    private TimeSpan Remaining(TimeSpan whenUnbounded) => end is { } deadline ? deadline - DateTime.UtcNow : whenUnbounded;

    private TimeSpan RemainingOrDilated(TimeSpan? asked) => asked is { } time ? Dilated(time) : RemainingOrDefault;

    private void AwaitDone(Task task, string what)
    {
        if (!task.Wait(Dilated(TestKitSettings.DefaultTimeout)))
        {
            throw new TimeoutException($"The test actor {TestActor} did not {what} in time.");
        }
    }

    /// <summary>A system actor's cell is put in place by its guardian, a moment after its reference is handed out.</summary>
    private static ActorCell AwaitCell(RepointableActorRef reference)
    {
        ActorCell? cell = null;
        if (!SpinWait.SpinUntil(() => (cell = reference.Underlying as ActorCell) is not null, TimeSpan.FromSeconds(60)))
        {
            throw new TimeoutException($"The test actor {reference} did not start in time.");
        }
        return cell!;
    }
}
