using FtAkka.Machine;
using FtAkka.Replication.Replay;

namespace FtAkka.GdbStub;

/// <summary>Serves gdb with a VM that runs, on a thread of its own, until the VM ends.</summary>
public sealed class LiveDebugging : IDisposable
{
    private readonly GdbServer server;
    private readonly CancellationTokenSource over = new();
    private readonly TaskCompletionSource<DebuggedRunner> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource killed;
    private readonly Task serving;

    /// <summary>Listens.</summary>
    /// <param name="port">Port on the loopback; 0 for a free one.</param>
    /// <param name="progress">Takes a line now and then.</param>
    /// <param name="cancelled">Ends the VM.</param>
    /// <exception cref="GdbPortException">The port cannot be had.</exception>
    public LiveDebugging(int port, Action<string> progress, CancellationToken cancelled)
    {
        killed = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
        server = GdbServer.Listen(port);
        progress($"halted before the first instruction; in gdb: target remote :{server.Port}");
        serving = Task.Factory.StartNew(Serve, over.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Cancelled when the user, or the debugger, ends the VM.</summary>
    public CancellationToken Killed => killed.Token;

    /// <summary>Whether the debugger ended it.</summary>
    public bool WasKilled { get; private set; }

    /// <summary>Puts the debugger around a machine.</summary>
    public IMachineRunner Attach(GuestMachine machine)
    {
        var runner = new DebuggedRunner(machine, server.IsInterrupted, () =>
        {
            WasKilled = true;
            killed.Cancel();
        });
        started.TrySetResult(runner);
        return runner;
    }

    /// <summary>The VM is over: tells the debugger, and stops listening.</summary>
    public void Dispose()
    {
        over.Cancel();
        // The debugger hears of the end by the answer to its last command; one that has none under way is cut off.
        serving.Wait(TimeSpan.FromSeconds(1));
        server.Dispose();
        over.Dispose();
        killed.Dispose();
    }

    private void Serve()
    {
        DebuggedRunner runner;
        try
        {
            started.Task.Wait(over.Token);
            runner = started.Task.Result;
        }
        catch (OperationCanceledException)
        {
            return;
        }
        while (server.Accept(over.Token))
        {
            if (!server.Serve(runner))
            {
                // It went without leave: the machine goes on without it.
                runner.SetStops(new SortedSet<ulong>(), []);
                runner.Detach();
            }
        }
    }
}
