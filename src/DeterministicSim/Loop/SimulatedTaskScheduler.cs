namespace FtAkka.DeterministicSim.Loop;

/// <summary>Brings tasks and continuations of the simulation back to its loop. Current while a simulation runs.</summary>
internal sealed class SimulatedTaskScheduler(SimulationLoop loop) : TaskScheduler
{
    private readonly int _threadId = Environment.CurrentManagedThreadId;

    public override int MaximumConcurrencyLevel => 1;

    protected override void QueueTask(Task task) => loop.PostTask(() => TryExecuteTask(task));

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        Environment.CurrentManagedThreadId == _threadId && !taskWasPreviouslyQueued && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks() => [];
}
