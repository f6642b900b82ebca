using Akka.Configuration;
using Akka.Dispatch;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Runs an actor on the thread that sends to it. For the actors of remoting only: they never block, and between a connection's thread and the
/// mailbox of the receiving actor no other thread has to wake up. Named as <c>type</c> of a dispatcher.
/// </summary>
public sealed class CallingThreadDispatcherConfigurator : MessageDispatcherConfigurator
{
    private readonly CallingThreadDispatcher _dispatcher;

    /// <summary>The constructor that Akka calls.</summary>
    public CallingThreadDispatcherConfigurator(Config config, IDispatcherPrerequisites prerequisites)
        : base(config, prerequisites) => _dispatcher = new CallingThreadDispatcher(this);

    /// <inheritdoc/>
    public override MessageDispatcher Dispatcher() => _dispatcher;
}

/// <summary>
/// See <see cref="CallingThreadDispatcherConfigurator"/>. A mailbox that is being run goes on being run by the thread that runs it, and what
/// an actor sends to others here is run after it, not within it: no recursion, and no actor is entered twice.
/// </summary>
internal sealed class CallingThreadDispatcher : MessageDispatcher
{
    /// <summary>Runs after which a thread passes the rest on: others may send faster than it works, and it has its own things to do.</summary>
    private const int RunsPerCall = 256;

    [ThreadStatic]
    private static Queue<(CallingThreadDispatcher Dispatcher, IRunnable Run)>? t_waiting;

    [ThreadStatic]
    private static bool t_running;

    public CallingThreadDispatcher(MessageDispatcherConfigurator configurator)
        : base(configurator)
    {
        Id = configurator.Config.GetString("id", "calling-thread");
        Throughput = configurator.Config.GetInt("throughput", 100);
        ShutdownTimeout = TimeSpan.FromSeconds(1);
    }

    protected override void ExecuteTask(IRunnable run)
    {
        (t_waiting ??= new Queue<(CallingThreadDispatcher, IRunnable)>()).Enqueue((this, run));
        if (!t_running)
        {
            RunOutsideOfTasks();
        }
    }

    protected override void Shutdown()
    {
        // There is no thread to end.
    }

    /// <summary>
    /// Continuations that remoting makes must not belong to the actor whose asynchronous receive happens to send: they would wait for that
    /// actor, and end with it.
    /// </summary>
    private static void RunOutsideOfTasks()
    {
        var context = SynchronizationContext.Current;
        if (context is not null)
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }

        try
        {
            if (TaskScheduler.Current == TaskScheduler.Default)
            {
                RunWaiting();
            }
            else
            {
                new Task(RunWaiting).RunSynchronously(TaskScheduler.Default);
            }
        }
        finally
        {
            if (context is not null)
            {
                SynchronizationContext.SetSynchronizationContext(context);
            }
        }
    }

    private static void RunWaiting()
    {
        var waiting = t_waiting!;
        t_running = true;
        try
        {
            for (var runs = 0; waiting.TryDequeue(out var next); runs++)
            {
                if (runs < RunsPerCall)
                {
                    next.Dispatcher.Run(next.Run);
                }
                else
                {
                    ThreadPool.UnsafeQueueUserWorkItem(static work => work.Dispatcher.ExecuteTask(work.Run), next, preferLocal: false);
                }
            }
        }
        finally
        {
            t_running = false;
        }
    }

    private void Run(IRunnable run)
    {
        try
        {
            run.Run();
        }
#pragma warning disable CA1031 // A mailbox handles its actor's failures; what comes past it must not end the caller. Akka's dispatchers report it likewise.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            ReportFailure(failure);
        }
    }
}
