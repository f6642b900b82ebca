using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.LogChannelActors.Tests.Remoting.Tcp;

namespace FtAkka.LogChannelActors.Tests.Remoting;

public sealed class CallingThreadDispatcherTests : IAsyncLifetime
{
    private const string Dispatcher = "akka.remote.default-remote-dispatcher";
    private readonly ActorSystem _system = ActorSystem.Create("test", ConfigurationFactory
        .ParseString("akka { loglevel = ERROR\nstdout-loglevel = OFF\nloggers = [] }").WithFallback(RemotingDefaults.Reference));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _system.Terminate();

    [Fact]
    public async Task Message_is_handled_by_the_thread_that_sends_it_before_the_send_returns()
    {
        var threads = new ConcurrentQueue<int>();
        var actor = _system.ActorOf(Props.Create(() => new Recorder(threads)).WithDispatcher(Dispatcher));
        await actor.Ask<ActorIdentity>(new Identify(null), TcpNode.Patience);   // the guardian starts it on a thread of its own

        actor.Tell("one");

        Assert.Equal([Environment.CurrentManagedThreadId], threads);
    }

    [Fact]
    public async Task A_hundred_thousand_messages_between_two_actors_need_no_deep_stack()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var second = _system.ActorOf(Props.Create(() => new Countdown(done)).WithDispatcher(Dispatcher));
        var first = _system.ActorOf(Props.Create(() => new Countdown(done)).WithDispatcher(Dispatcher));

        first.Tell(100_000, second);

        await done.Task.WaitAsync(TcpNode.Patience);
    }

    [Fact]
    public async Task Messages_of_many_threads_are_handled_one_at_a_time_and_none_is_lost()
    {
        const int Threads = 6;
        const int Count = 20_000;
        var counter = new Counter();
        var actor = _system.ActorOf(Props.Create(() => new Counting(counter)).WithDispatcher(Dispatcher));

        await Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => Task.Factory.StartNew(() =>
        {
            for (var i = 0; i < Count; i++)
            {
                actor.Tell("more");
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        await Eventually.Holds(() => Volatile.Read(ref counter.Handled) == Threads * Count, "all messages");
        Assert.False(counter.Overlapped);
    }

    [Fact]
    public async Task Continuations_of_its_actors_do_not_belong_to_the_asynchronous_actor_that_sent()
    {
        var schedulers = new ConcurrentQueue<bool>();
        var observer = _system.ActorOf(Props.Create(() => new SchedulerObserver(schedulers)).WithDispatcher(Dispatcher));
        var sender = _system.ActorOf(Props.Create(() => new AsynchronousSender(observer)));

        sender.Tell("go");

        await Eventually.Holds(() => !schedulers.IsEmpty, "a message");
        Assert.Equal([true], schedulers);
    }

    private sealed class Recorder : ReceiveActor
    {
        public Recorder(ConcurrentQueue<int> threads) => ReceiveAny(_ => threads.Enqueue(Environment.CurrentManagedThreadId));
    }

    private sealed class Countdown : ReceiveActor
    {
        public Countdown(TaskCompletionSource done) => Receive<int>(left =>
        {
            if (left == 0)
            {
                done.SetResult();
                return;
            }

            Sender.Tell(left - 1, Self);
        });
    }

    private sealed class Counter
    {
        public int Handled;
        public int Inside;
        public bool Overlapped;
    }

    private sealed class Counting : ReceiveActor
    {
        public Counting(Counter counter) => ReceiveAny(_ =>
        {
            counter.Overlapped |= Interlocked.Increment(ref counter.Inside) != 1;
            Interlocked.Increment(ref counter.Handled);
            Interlocked.Decrement(ref counter.Inside);
        });
    }

    private sealed class SchedulerObserver : ReceiveActor
    {
        public SchedulerObserver(ConcurrentQueue<bool> schedulers) => ReceiveAny(_ => schedulers.Enqueue(TaskScheduler.Current == TaskScheduler.Default));
    }

    private sealed class AsynchronousSender : ReceiveActor
    {
        public AsynchronousSender(IActorRef target) => ReceiveAsync<string>(async text =>
        {
            await Task.Yield();
            target.Tell(text);
        });
    }
}
