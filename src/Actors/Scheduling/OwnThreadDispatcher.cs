using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;

namespace FtAkka.Actors.Scheduling;

/// <summary>
/// Gives each actor that names the dispatcher a thread of its own, as Akka's pinned dispatcher does, but one that sleeps as soon as there is
/// nothing to do: Akka's spins first, which costs a guest that sleeps between disk requests or timer ticks more than its work.
/// Named as <c>type</c> of a dispatcher in akka.hocon.
/// </summary>
public sealed class OwnThreadDispatcherConfigurator : MessageDispatcherConfigurator
{
    /// <summary>The constructor that Akka calls.</summary>
    public OwnThreadDispatcherConfigurator(Config config, IDispatcherPrerequisites prerequisites)
        : base(config, prerequisites)
    {
    }

    /// <inheritdoc/>
    public override MessageDispatcher Dispatcher() => new OwnThreadDispatcher(this);
}

/// <summary>One thread, for one actor; it lives as long as the actor, and a little longer.</summary>
#pragma warning disable CA1001 // Akka disposes no dispatcher, and one that was shut down may be used again; the event's handle goes with it.
internal sealed class OwnThreadDispatcher : MessageDispatcher
#pragma warning restore CA1001
{
    private readonly object gate = new();
    private readonly Queue<IRunnable> queue = new();
    private readonly AutoResetEvent wake = new(initialState: false);
    private Thread? thread;
    private bool asleep;
    private bool stopping;

    public OwnThreadDispatcher(MessageDispatcherConfigurator configurator)
        : base(configurator)
    {
        Id = configurator.Config.GetString("id", "own-thread");
        // Nobody else waits for this thread.
        Throughput = int.MaxValue;
        ShutdownTimeout = TimeSpan.FromSeconds(1);
    }

    protected override void ExecuteTask(IRunnable run)
    {
        bool sleeper;
        lock (gate)
        {
            queue.Enqueue(run);
            if (thread is null)
            {
                stopping = false;
                thread = new Thread(Work) { IsBackground = true, Name = Id };
                thread.Start();
            }
            sleeper = asleep;
            asleep = false;
        }
        if (sleeper)
        {
            wake.Set();
        }
    }

    /// <summary>Called by Akka some time after the actor has stopped.</summary>
    protected override void Shutdown()
    {
        lock (gate)
        {
            stopping = true;
            asleep = false;
        }
        wake.Set();
    }

    private void Work()
    {
        while (true)
        {
            IRunnable? next;
            lock (gate)
            {
                asleep = !queue.TryDequeue(out next);
                if (asleep && stopping)
                {
                    (thread, asleep) = (null, false);
                    return;
                }
            }
            if (next is null)
            {
                wake.WaitOne();
                continue;
            }
            try
            {
                next.Run();
            }
#pragma warning disable CA1031 // A mailbox handles its actor's failures; what comes past it must not end the process. Akka's dispatchers report it likewise.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                ReportFailure(failure);
            }
        }
    }
}
