using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>Messages of <see cref="ReplayActor"/>.</summary>
public static class ReplayProtocol
{
    /// <summary>Replica to replay: further entries, which follow those before without gap.</summary>
    public sealed record Feed(IReadOnlyList<LogEntry> Entries);

    /// <summary>Replica to replay: stop or go on; replay with nothing to do waits by itself.</summary>
    public sealed record Hold(bool On);

    /// <summary>Disks to replica, and replica to replay: what was read from this replica's own disk.</summary>
    public sealed record OwnRead(int Disk, DiskCompletion Completion);

    /// <summary>Whoever makes a host slower than the other, as the simulator does, to replay: execute no more than this from now on. Not answered.</summary>
    /// <param name="InstructionsPerMillisecond">On average; null for no limit, 0 to execute nothing.</param>
    public sealed record SetPace(ulong? InstructionsPerMillisecond);

    /// <summary>
    /// Test to replay: run this on the replay's thread between two turns. What it changes in the machine makes this no replica any more, which the
    /// next digest shows. The product does not send it. Not answered.
    /// </summary>
    public sealed record Inspect(Action<GuestMachine> Look);

    /// <summary>Supervisor to replay: everything fed is replayed; give the machine away and stop. Answered by <see cref="Released"/>.</summary>
    public sealed record Release;

    /// <summary>Replay to the sender of <see cref="Release"/>: the machine is the receiver's.</summary>
    public sealed record Released(GuestMachine Machine);
}

/// <summary>Replays a log continuously on the machine of a backup, in quanta, on a thread of its own. The machine stays the replica's, which frees it if nobody takes it over.</summary>
public sealed class ReplayActor : ReceiveActor
{
    /// <summary>A turn of the mailbox is worth this much execution.</summary>
    private const ulong InstructionsPerTurn = 4_000_000;

    /// <summary>And ends behind so many outputs, so that a hold for a full output gate comes in time: what a backup owes its own disk stays bounded.</summary>
    internal const int OutputsPerTurn = 4096;

    /// <summary>Or behind so many bytes of them: a guest that sends without pause would have gigabytes in so many outputs.</summary>
    private const long OutputBytesPerTurn = 4 << 20;

    private sealed record RunQuantum;

    private readonly MachinePlayer player;
    private readonly IActorRef replica = Context.Parent;
    private readonly IScheduler scheduler = Context.System.Scheduler;
    private readonly ExecutionPace pace = new();
    private ICancelable? wake;
    private bool running;
    private bool held;
    private bool released;
    private Lsn told;
    private ulong toldIcount;

    /// <summary>Replay on a machine in the state that the log follows.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="position">Where the log goes on.</param>
    /// <param name="instructionsPerMillisecond">Limit until <see cref="ReplayProtocol.SetPace"/> says otherwise; null for none.</param>
    public ReplayActor(GuestMachine machine, LogPosition position, ulong? instructionsPerMillisecond)
    {
        pace.SetLimit(instructionsPerMillisecond, scheduler.HighResMonotonicClock);
        player = new MachinePlayer(machine, position) { EffectsMax = OutputsPerTurn, EffectBytesMax = OutputBytesPerTurn };
        told = position.LastLsn;
        Receive<ReplayProtocol.Feed>(Take);
        Receive<ReplayProtocol.OwnRead>(message =>
        {
            player.SupplyRead(message.Disk, message.Completion.Id, message.Completion.Data);
            Start();
        });
        Receive<ReplayProtocol.Hold>(message =>
        {
            held = message.On;
            Start();
        });
        Receive<ReplayProtocol.SetPace>(message =>
        {
            pace.SetLimit(message.InstructionsPerMillisecond, scheduler.HighResMonotonicClock);
            Start();
        });
        Receive<RunQuantum>(_ => Run());
        Receive<ReplayProtocol.Inspect>(message => message.Look(machine));
        Receive<ReplayProtocol.Release>(_ =>
        {
            released = true;
            Sender.Tell(new ReplayProtocol.Released(machine));
            Context.Stop(Self);
        });
    }

    /// <summary>Props of a replay, on the dispatcher for machines.</summary>
    public static Props Props(GuestMachine machine, LogPosition position, ulong? instructionsPerMillisecond = null) =>
        Akka.Actor.Props.Create(() => new ReplayActor(machine, position, instructionsPerMillisecond)).WithDispatcher(MachineActor.DispatcherId);

    /// <inheritdoc/>
    protected override void PostStop() => wake?.Cancel();

    private void Take(ReplayProtocol.Feed message)
    {
        foreach (LogEntry entry in message.Entries)
        {
            if (!player.TryAppend(entry))
            {
                throw new InvalidOperationException($"Entry {entry.Lsn} does not follow entry {player.LastReceived}.");
            }
        }
        Start();
    }

    private void Start()
    {
        if (!running && !held && player.Divergence is null && player.Backlog > 0)
        {
            running = true;
            Self.Tell(new RunQuantum());
        }
    }

    private void Run()
    {
        running = false;
        // A hold that came behind the turn's own message: it begins again when the hold is lifted.
        if (released || held)
        {
            return;
        }
        ulong budget = Budget();
        if (budget == 0)
        {
            return;
        }
        ulong before = player.Machine.Icount;
        PlayerExit exit = player.Run(budget);
        pace.Ran(player.Machine.Icount - before, TimeSpan.Zero);
        if (player.LastExecuted != told || player.Machine.Icount != toldIcount || exit.Effects.Count > 0)
        {
            (told, toldIcount) = (player.LastExecuted, player.Machine.Icount);
            replica.Tell(new ReplicaInput.Replayed(player.LastExecuted, player.Machine.Icount, exit.Effects, player.DigestsChecked, player.LastDigestIcount ?? 0));
        }
        if (player.Divergence is { } divergence)
        {
            replica.Tell(new ReplicaInput.Diverged(divergence, StateWitness.Of(player.Machine, player.LastDigestPages)));
            return;
        }
        if (exit.Stop == PlayerStop.BudgetSpent)
        {
            Start();
        }
    }

    /// <summary>Instructions that may run now. Where the limit forbids any, a later turn is arranged for.</summary>
    private ulong Budget()
    {
        if (pace.Limit is null)
        {
            return InstructionsPerTurn;
        }
        ulong budget = pace.Budget(scheduler.HighResMonotonicClock);
        if (budget == 0 && pace.Limit != 0)
        {
            running = true;
            wake?.Cancel();
            wake = scheduler.ScheduleTellOnceCancelable(ExecutionPace.AllowanceWait, Self, new RunQuantum(), Self);
        }
        return budget;
    }
}
