using System.Reflection;
using Akka.Actor;
using Akka.Remote;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// The orderly stop of a system's remoting. Akka asks its manager of endpoints to flush and awaits the answer on the thread pool, from where what
/// follows would come back at any time. So the manager is asked here instead, on the loop; its answer alone crosses the pool, and the loop
/// waits for it when there is nothing else left to do. Then Akka finds remoting stopped already, and goes on.
/// </summary>
internal sealed class RemotingStop
{
    private const string ManagerField = "_endpointManager";
    private const string Question = "Akka.Remote.EndpointManager+ShutdownAndFlush";

    /// <summary>Real time for one hop over the thread pool.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly RemoteTransport _remoting;
    private readonly FieldInfo _manager;
    private readonly SimulatedTransport _transport;
    private readonly AnswerAwaited _answer;
    private readonly Action _goOn;

    /// <summary>Prepares the stop of a system's remoting.</summary>
    /// <param name="system">The system.</param>
    /// <param name="network">Its network.</param>
    /// <param name="goOn">What Akka was about to do.</param>
    public RemotingStop(ActorSystem system, SimulatedNetwork network, Action goOn)
    {
        var provider = (RemoteActorRefProvider)((ExtendedActorSystem)system).Provider;
        _remoting = provider.Transport;
        _manager = _remoting.GetType().GetField(ManagerField, BindingFlags.Instance | BindingFlags.NonPublic) ?? throw Elsewhere(ManagerField);
        Address address = provider.DefaultAddress.WithProtocol("tcp");
        _transport = network.Listener(address) ?? throw new SimulationException($"No transport listens at {address}.");
        _answer = new AnswerAwaited(provider);
        _goOn = goOn;
    }

    /// <summary>The manager has done everything on the loop: its answer is under way.</summary>
    public bool IsAnswered => _transport.HasShutDown;

    /// <summary>Asks the manager. On the loop, with its task scheduler current.</summary>
    public void Begin()
    {
        Type question = typeof(RemoteTransport).Assembly.GetType(Question) ?? throw Elsewhere(Question);
        ((IActorRef)_manager.GetValue(_remoting)!).Tell(Activator.CreateInstance(question), _answer);
    }

    /// <summary>Waits for the answer, in real time, and lets Akka go on.</summary>
    public void Complete()
    {
        if (!_answer.Wait(Patience))
        {
            throw new SimulationException($"Remoting gave no answer within {Patience} of real time.");
        }

        _manager.SetValue(_remoting, null);
        _goOn();
    }

    private static SimulationException Elsewhere(string what) => new(
        $"This Akka.Remote ({typeof(RemoteTransport).Assembly.GetName().Version}) keeps {what} elsewhere: the simulator must learn where, or systems "
        + "would not stop in the same way twice.");

    private sealed class AnswerAwaited(IActorRefProvider provider) : MinimalActorRef
    {
        private readonly TaskCompletionSource _told = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ActorPath Path { get; } = provider.RootPath / "temp" / "remoting-stop";

        public override IActorRefProvider Provider { get; } = provider;

        public bool Wait(TimeSpan patience) => _told.Task.Wait(patience);

        protected override void TellInternal(object message, IActorRef sender) => _told.TrySetResult();
    }
}
