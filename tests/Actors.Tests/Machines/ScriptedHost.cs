using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;
using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>
/// A host's clock that only moves when the test's guest executes, or when a timer is set: then it jumps to the timer's moment, as on a host that
/// has nothing else to do. What a machine makes of its time can be judged exactly by it, however busy the real host is. For systems in which
/// nobody but one machine sets timers.
/// </summary>
internal sealed class ScriptedTime(Config config, ILoggingAdapter log) : SchedulerBase(config, log)
{
    public const string TypeName = "FtAkka.Actors.Tests.Machines.ScriptedTime, FtAkka.Actors.Tests";

    private long now = TimeSpan.FromHours(1).Ticks;

    protected override DateTimeOffset TimeNow => DateTimeOffset.UnixEpoch + HighResMonotonicClock;

    public override TimeSpan MonotonicClock => HighResMonotonicClock;

    public override TimeSpan HighResMonotonicClock => TimeSpan.FromTicks(Interlocked.Read(ref now));

    public void Pass(TimeSpan time) => Interlocked.Add(ref now, time.Ticks);

    protected override void InternalScheduleTellOnce(TimeSpan delay, ICanTell receiver, object message, IActorRef sender, ICancelable cancelable)
    {
        Pass(delay);
        receiver.Tell(message, sender);
    }

    // Only the limits of Akka's own shutdown: they are never due.
    protected override void InternalScheduleOnce(TimeSpan delay, Action action, ICancelable cancelable)
    {
    }

    protected override void InternalScheduleOnce(TimeSpan delay, IRunnable action, ICancelable cancelable)
    {
    }

    protected override void InternalScheduleTellRepeatedly(
        TimeSpan initialDelay, TimeSpan interval, ICanTell receiver, object message, IActorRef sender, ICancelable cancelable) =>
        throw new NotSupportedException();

    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, Action action, ICancelable cancelable) =>
        throw new NotSupportedException();

    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, IRunnable action, ICancelable cancelable) =>
        throw new NotSupportedException();
}

/// <summary>
/// A processor of a fixed speed, which the host takes away for <paramref name="stall"/> in each quantum whose number is a multiple of
/// <paramref name="stallEvery"/>.
/// </summary>
internal sealed class ScriptedProcessor(GuestMachine machine, ScriptedTime time, int stallEvery, TimeSpan stall) : IMachineRunner
{
    public const ulong InstructionsPerMillisecond = 100_000;

    private int quanta;

    public int Stalls { get; private set; }

    public int Quanta => quanta;

    /// <summary>When each line of the console ended.</summary>
    public ConcurrentQueue<TimeSpan> Lines { get; } = new();

    public GuestMachine Machine => machine;

    public MachineExit Run(ulong maxInstructions)
    {
        ulong before = machine.Icount;
        MachineExit exit = machine.Run(maxInstructions);
        time.Pass(TimeSpan.FromMilliseconds((exit.Icount - before) / (double)InstructionsPerMillisecond));
        if (++quanta % stallEvery == 0)
        {
            Stalls++;
            time.Pass(stall);
        }
        foreach (byte _ in exit.Effects.OfType<ConsoleOutput>().SelectMany(output => output.Bytes).Where(value => value == '\n'))
        {
            Lines.Enqueue(time.HighResMonotonicClock);
        }
        return exit;
    }

    public void Inject(InputEvent input) => machine.Inject(input);
}
