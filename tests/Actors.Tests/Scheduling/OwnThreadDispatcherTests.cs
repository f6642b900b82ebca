using Akka.Actor;
using Akka.TestKit.Xunit2;

namespace FtAkka.Actors.Tests.Scheduling;

public sealed class OwnThreadDispatcherTests : TestKit
{
    private const int Rounds = 20_000;
    private const int RoundsBetweenReports = 500;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public OwnThreadDispatcherTests()
        : base("""
            akka.test.default-timeout = 60s
            test-dispatcher.type = "FtAkka.Actors.Scheduling.OwnThreadDispatcherConfigurator, FtAkka.Actors"
            """)
    {
    }

    private sealed class Echo : ReceiveActor
    {
        public Echo()
        {
            Receive<string>(_ => throw new InvalidOperationException("asked to fail"));
            Receive<ManualResetEventSlim>(hold => hold.Wait());
            ReceiveAny(message => Sender.Tell((message, Environment.CurrentManagedThreadId)));
        }
    }

    private sealed class Player(IActorRef other, IActorRef test) : UntypedActor
    {
        protected override void OnReceive(object message)
        {
            switch (message)
            {
                case int start:
                    other.Tell(start);
                    break;
                case ValueTuple<object, int>(int round, _):
                    if (round % RoundsBetweenReports == 0)
                    {
                        test.Tell(round);
                    }
                    if (round < Rounds)
                    {
                        other.Tell(round + 1);
                    }
                    break;
            }
        }
    }

    private IActorRef Start() => Sys.ActorOf(Props.Create(() => new Echo()).WithDispatcher("test-dispatcher"));

    private int ThreadOf(IActorRef echo)
    {
        echo.Tell(1);
        return ExpectMsg<(object, int Thread)>(Patience).Thread;
    }

    [Fact]
    public void Each_actor_stays_on_its_own_thread()
    {
        IActorRef[] echoes = [Start(), Start(), Start()];
        int[] threads = [.. echoes.Select(ThreadOf)];
        Assert.Equal(3, threads.Distinct().Count());
        Assert.Equal(threads, echoes.Select(ThreadOf));
    }

    [Fact]
    public void Actor_that_is_kept_busy_keeps_no_other_waiting()
    {
        IActorRef[] echoes = [Start(), Start()];
        using var hold = new ManualResetEventSlim();
        echoes[0].Tell(hold);
        ThreadOf(echoes[1]);
        hold.Set();
        ThreadOf(echoes[0]);
    }

    /// <summary>
    /// A wake-up that is lost between the look at the queue and going to sleep would leave both asleep. What is waited for is progress: how long
    /// all rounds take is up to the host.
    /// </summary>
    [Fact]
    public void No_message_is_slept_through()
    {
        IActorRef echo = Start();
        IActorRef player = Sys.ActorOf(Props.Create(() => new Player(echo, TestActor)).WithDispatcher("test-dispatcher"));
        player.Tell(1);
        for (int round = RoundsBetweenReports; round <= Rounds; round += RoundsBetweenReports)
        {
            ExpectMsg(round, Patience);
        }
    }

    [Fact]
    public void Failed_actor_goes_on_after_its_restart()
    {
        IActorRef echo = Start();
        ThreadOf(echo);
        echo.Tell("fail");
        ThreadOf(echo);
    }

    [Fact]
    public void Dispatcher_can_be_used_again_after_its_actor_has_stopped()
    {
        for (int i = 0; i < 3; i++)
        {
            IActorRef echo = Watch(Start());
            ThreadOf(echo);
            Sys.Stop(echo);
            ExpectTerminated(echo, Patience);
        }
    }
}
