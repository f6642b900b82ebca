namespace FtAkka.DeterministicSim.Network;

/// <summary>This thread has no synchronization context until the end of the scope.</summary>
internal readonly ref struct WithoutContext
{
    private readonly SynchronizationContext? _before;

    private WithoutContext(SynchronizationContext? before) => _before = before;

    /// <summary>Takes the context away, if there is one.</summary>
    public static WithoutContext Enter()
    {
        SynchronizationContext? before = SynchronizationContext.Current;
        if (before is not null)
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }

        return new WithoutContext(before);
    }

    /// <summary>Gives it back.</summary>
    public void Dispose()
    {
        if (_before is not null)
        {
            SynchronizationContext.SetSynchronizationContext(_before);
        }
    }
}
