using Akka.Actor;
using Akka.Event;
using Xunit;

namespace Akka.TestKit;

/// <summary>Runs a block and counts the log events that match meanwhile.</summary>
public sealed class EventFilterApplier
{
    private readonly TestKitBase testKit;
    private readonly Predicate<LogEvent> matches;
    private readonly string description;

    internal EventFilterApplier(TestKitBase testKit, Predicate<LogEvent> matches, string description)
    {
        this.testKit = testKit;
        this.matches = matches;
        this.description = description;
    }

    /// <summary>Expects exactly one matching event.</summary>
    public void ExpectOne(Action action) => Expect(1, action);

    /// <summary>Expects exactly one matching event, waiting at most <paramref name="timeout"/> for it.</summary>
    public void ExpectOne(TimeSpan timeout, Action action) => Expect(1, timeout, action);

    /// <summary>Expects exactly <paramref name="expectedCount"/> matching events.</summary>
    public void Expect(int expectedCount, Action action) => Expect(expectedCount, testKit.TestKitSettings.FilterLeeway, action);

    /// <summary>Expects exactly <paramref name="expectedCount"/> matching events.</summary>
    public void Expect(int expectedCount, TimeSpan timeout, Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        var counter = new Counter();
        IActorRef listener = Listen(counter);
        try
        {
            action();
            testKit.AwaitAssert(() => Assert.True(counter.Value >= expectedCount, Text(expectedCount, counter)), timeout);
            Assert.True(counter.Value == expectedCount, Text(expectedCount, counter));
        }
        finally
        {
            testKit.Sys.Stop(listener);
        }
    }

    /// <summary>Expects exactly one matching event.</summary>
    public Task ExpectOneAsync(Func<Task> actionAsync) => ExpectAsync(1, actionAsync);

    /// <summary>Expects exactly <paramref name="expectedCount"/> matching events.</summary>
    public async Task ExpectAsync(int expectedCount, Func<Task> actionAsync)
    {
        ArgumentNullException.ThrowIfNull(actionAsync);
        var counter = new Counter();
        IActorRef listener = Listen(counter);
        try
        {
            await actionAsync();
            TimeSpan leeway = testKit.TestKitSettings.FilterLeeway;
            await testKit.AwaitAssertAsync(() => Assert.True(counter.Value >= expectedCount, Text(expectedCount, counter)), leeway);
            Assert.True(counter.Value == expectedCount, Text(expectedCount, counter));
        }
        finally
        {
            testKit.Sys.Stop(listener);
        }
    }

    private string Text(int expected, Counter counter) => $"Expected {expected} log events ({description}), saw {counter.Value}.";

    private IActorRef Listen(Counter counter)
    {
        IActorRef listener = testKit.Sys.ActorOf(Props.Create(() => new Listener(matches, counter)));
        testKit.Sys.EventStream.Subscribe(listener, typeof(LogEvent));
        return listener;
    }

    private sealed class Counter
    {
        private int value;

        public int Value => Volatile.Read(ref value);

        public void Add() => Interlocked.Increment(ref value);
    }

    private sealed class Listener : ReceiveActor
    {
        public Listener(Predicate<LogEvent> matches, Counter counter) => Receive<LogEvent>(matches, _ => counter.Add());
    }
}
