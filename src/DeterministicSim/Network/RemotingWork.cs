namespace FtAkka.DeterministicSim.Network;

/// <summary>
/// Runs work of Akka's remoting. Its code awaits with <c>ConfigureAwait(false)</c>: such a continuation runs where the awaited task is completed if
/// <see cref="TaskScheduler.Default"/> is current there, and on the thread pool, out of the simulation's hands, if another scheduler or a
/// synchronization context is. (Akka.TestKit sets a context on the thread of a test.)
/// </summary>
internal static class RemotingWork
{
    /// <summary>Whether this thread is as remoting needs it.</summary>
    public static bool IsCurrent => TaskScheduler.Current == TaskScheduler.Default && SynchronizationContext.Current is null;

    /// <summary>Runs work on this thread with the default scheduler current.</summary>
    public static void Run(Action work)
    {
        if (IsCurrent)
        {
            work();
            return;
        }

        using (WithoutContext.Enter())
        {
            var task = new Task(work);
            task.RunSynchronously(TaskScheduler.Default);
            task.GetAwaiter().GetResult();
        }
    }
}
