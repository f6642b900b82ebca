using Akka.Actor;
using Akka.Event;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Xunit.Sdk;

namespace FtAkka.Actors.Tests;

/// <summary>What the tests of actors rely on of the TestKit.</summary>
public sealed class TestKitTests() : TestKit("akka.test { single-expect-default = 60s, default-timeout = 60s, filter-leeway = 60s }")
{
    private sealed class Echo : ReceiveActor
    {
        public Echo()
        {
            Receive<string>(text => text == "fail", _ => throw new InvalidOperationException("told to fail"));
            Receive<int>(number => Context.GetLogger().Warning("odd number {0}", number));
            ReceiveAny(message => Sender.Tell(message));
        }
    }

    [Fact]
    public void Test_actor_is_the_implicit_sender()
    {
        ActorOf<Echo>().Tell("hello");
        ExpectMsg("hello");
    }

    [Fact]
    public async Task Test_actor_stays_the_implicit_sender_after_an_await()
    {
        IActorRef echo = ActorOf<Echo>();
        await Task.Delay(10);
        echo.Tell("hello");
        await ExpectMsgAsync("hello");
    }

    [Fact]
    public void Wrong_message_and_missing_message_fail()
    {
        ActorOf<Echo>().Tell("hello");
        Assert.ThrowsAny<XunitException>(() => ExpectMsg<long>());
        Assert.ThrowsAny<XunitException>(() => ExpectMsg<string>(TimeSpan.FromMilliseconds(50)));
    }

    [Fact]
    public void Unexpected_message_fails_expectation_of_silence()
    {
        ExpectNoMsg(TimeSpan.FromMilliseconds(20));
        TestActor.Tell("noise");
        Assert.ThrowsAny<XunitException>(() => ExpectNoMsg(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public void Probe_sends_under_its_own_name_and_replies()
    {
        TestProbe probe = CreateTestProbe();
        probe.Send(TestActor, "question");
        ExpectMsgFrom<string>(probe.Ref);
        LastSender.Tell("answer");
        probe.ExpectMsg("answer");
        probe.Reply("thanks");
        ExpectMsg("thanks");
    }

    [Fact]
    public void Watched_actor_that_stops_is_reported()
    {
        IActorRef echo = ActorOf<Echo>();
        Watch(echo);
        echo.Tell(PoisonPill.Instance);
        ExpectTerminated(echo);
    }

    [Fact]
    public void Event_filter_counts_matching_log_events_only()
    {
        IActorRef echo = ActorOf<Echo>();
        EventFilter.Exception<InvalidOperationException>(contains: "told").ExpectOne(() => echo.Tell("fail"));
        EventFilter.Warning(start: "odd").Expect(2, () => { echo.Tell(1); echo.Tell(3); });
        Assert.ThrowsAny<XunitException>(() =>
            EventFilter.Warning(contains: "even").ExpectOne(TimeSpan.FromMilliseconds(100), () => echo.Tell(5)));
    }

    [Fact]
    public void Within_bounds_the_expectations_inside_it() =>
        Assert.ThrowsAny<XunitException>(() => Within(TimeSpan.FromMilliseconds(100), () => ExpectMsg<string>()));

    [Fact]
    public void Await_assert_repeats_until_it_holds()
    {
        int calls = 0;
        AwaitAssert(() => Assert.True(++calls >= 3));
        Assert.Equal(3, calls);
        AwaitCondition(() => ++calls > 5);
        Assert.ThrowsAny<XunitException>(() => AwaitAssert(() => Assert.Fail("never"), TimeSpan.FromMilliseconds(60)));
    }
}
