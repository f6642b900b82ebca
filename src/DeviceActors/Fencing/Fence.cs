namespace FtAkka.DeviceActors.Fencing;

/// <summary>
/// Lets devices act only while their replica may (docs/failure-model.md, "Stale primaries"). Whoever owns a device's way out looks here immediately
/// before each system call that the outside can see, however long the request has waited since it was queued; what may not act is held
/// until the fence opens, and dropped when the device closes.
/// </summary>
/// <remarks>
/// A fence closes with time, by itself; it opens only when its replica moves it, and <see cref="Moved"/> then lets what is held go on. Nothing polls.
/// Between the look and the system call's effect lies the host's own way to the disk or the network, which nothing here can cut short.
/// </remarks>
public sealed class Fence
{
    private readonly Func<bool> mayAct;
    private readonly Lock sync = new();
    private readonly LinkedList<Action> held = new();

    /// <summary>A fence that is open while <paramref name="mayAct"/> says so. Asked on every thread that acts.</summary>
    public Fence(Func<bool> mayAct) => this.mayAct = mayAct;

    /// <summary>Open for ever: a VM that has no rival.</summary>
    public static Fence None { get; } = new(() => true);

    /// <summary>Whether devices may act at this moment.</summary>
    public bool IsOpen => mayAct();

    /// <summary>The fence may be open now: lets what is held look again. Called by whoever moves it, after it moved.</summary>
    public void Moved()
    {
        // Whoever is about to be held looks once more after it has registered: with this barrier one of the two sees the other.
        Interlocked.MemoryBarrier();
        if (held.Count == 0 || !mayAct())
        {
            return;
        }
        Action[] goOn;
        lock (sync)
        {
            goOn = [.. held];
            held.Clear();
        }
        foreach (Action one in goOn)
        {
            one();
        }
    }

    /// <summary>Returns when devices may act; for threads that a device has to itself.</summary>
    /// <returns>False if <paramref name="closed"/> was cancelled first: the act must not happen any more.</returns>
    public bool Wait(CancellationToken closed)
    {
        while (!mayAct())
        {
            if (closed.IsCancellationRequested)
            {
                return false;
            }
            using var moved = new ManualResetEventSlim();
            using IDisposable registered = Hold(moved.Set);
            using CancellationTokenRegistration cancelled = closed.UnsafeRegister(_ => moved.Set(), null);
            moved.Wait(CancellationToken.None);
        }
        return true;
    }

    /// <summary>Ends when devices may act; the continuation runs on a thread of the pool.</summary>
    /// <returns>False if <paramref name="closed"/> was cancelled first: the act must not happen any more.</returns>
    public async Task<bool> WaitAsync(CancellationToken closed)
    {
        while (!mayAct())
        {
            if (closed.IsCancellationRequested)
            {
                return false;
            }
            var moved = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using IDisposable registered = Hold(() => moved.TrySetResult());
            using CancellationTokenRegistration cancelled = closed.UnsafeRegister(_ => moved.TrySetResult(), null);
            await moved.Task.ConfigureAwait(false);
        }
        return true;
    }

    /// <summary>
    /// Calls <paramref name="goOn"/> once, when the fence may be open: at once on this thread if it is, else on the thread that moves it, which must
    /// not be kept. Whoever is called looks at the fence again. Disposing the result takes it back.
    /// </summary>
    public IDisposable Hold(Action goOn)
    {
        ArgumentNullException.ThrowIfNull(goOn);
        var ticket = new Ticket(this);
        lock (sync)
        {
            ticket.Node = held.AddLast(goOn);
        }
        Interlocked.MemoryBarrier();
        if (mayAct() && ticket.Take())
        {
            goOn();
        }
        return ticket;
    }

    private sealed class Ticket(Fence fence) : IDisposable
    {
        public LinkedListNode<Action>? Node { get; set; }

        /// <summary>Removes it from what is held. False if it was let go already.</summary>
        public bool Take()
        {
            lock (fence.sync)
            {
                if (Node?.List is null)
                {
                    return false;
                }
                fence.held.Remove(Node);
                return true;
            }
        }

        public void Dispose() => Take();
    }
}
