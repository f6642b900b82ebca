using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Tests.Running;

/// <summary>What one execution left behind.</summary>
internal sealed record Execution(MachineExitReason Reason, IReadOnlyList<string> Effects, MachineDigest Digest);

/// <summary>Runs a machine live with random inputs, and again from the log, cut at other places.</summary>
internal static class RecordReplay
{
    private static readonly MachineExitReason[] final = [MachineExitReason.PowerOff, MachineExitReason.Reset, MachineExitReason.TripleFault];

    /// <summary>A live run: random quanta, clock advances, console input, wake-ups. Returns what happened and the log.</summary>
    public static Execution Record(GuestMachine machine, int seed, ulong icountMax, List<(ulong Icount, InputEvent Input)> log)
    {
        var random = new Random(seed);
        var effects = new List<string>();
        void Inject(InputEvent input) => log.Add((machine.Inject(input), input));
        while (true)
        {
            Assert.True(log.Count < 100_000, $"seed {seed}: the guest sleeps for ever at icount {machine.Icount}");
            var exit = machine.Run(Math.Min(1 + (ulong)random.Next(5000), icountMax - machine.Icount));
            effects.AddRange(ScriptedMachine.Describe(exit.Effects));
            if (final.Contains(exit.Reason) || machine.Icount >= icountMax)
                return new Execution(exit.Reason, effects, machine.ComputeFullDigest());
            if (exit.Reason == MachineExitReason.Idle)
                Inject(new ClockAdvance(Math.Max(machine.Tsc, exit.NextTimerTsc ?? 0) + (ulong)random.Next(50)));
            else if (random.Next(3) == 0)
                Inject(new ClockAdvance(machine.Tsc + (ulong)random.Next(2000)));
            // A guest that waits without a timer is woken by a key.
            if (exit is { Reason: MachineExitReason.Idle, NextTimerTsc: null } || random.Next(4) == 0)
                Inject(new ConsoleInput(ConsoleKind.Serial, [(byte)random.Next(256)]));
        }
    }

    /// <summary>Replays the log as the product does: runs to the icount of each event and injects it there.</summary>
    /// <param name="machine">As it was when the log began.</param>
    /// <param name="cuts">Gives the lengths of the quanta; null: nothing but the events ends a run.</param>
    /// <param name="icountMax">Where the recording ended, unless the guest ended it.</param>
    /// <param name="log">The events.</param>
    public static Execution Replay(GuestMachine machine, Random? cuts, ulong icountMax, List<(ulong Icount, InputEvent Input)> log)
    {
        var effects = new List<string>();
        foreach (var (icount, input) in log)
        {
            RunTo(machine, icount, cuts, effects);
            Assert.Equal(icount, machine.Icount);
            machine.Inject(input);
        }
        var reason = RunTo(machine, icountMax, cuts, effects);
        return new Execution(reason, effects, machine.ComputeFullDigest());
    }

    private static MachineExitReason RunTo(GuestMachine machine, ulong icount, Random? cuts, List<string> effects)
    {
        for (var quanta = 0; ; quanta++)
        {
            Assert.True(quanta < 100_000, $"no progress at icount {machine.Icount}");
            var budget = icount - machine.Icount;
            var exit = machine.Run(cuts is null ? budget : Math.Min(1 + (ulong)cuts.Next(20_000), budget));
            effects.AddRange(ScriptedMachine.Describe(exit.Effects));
            if (final.Contains(exit.Reason) || machine.Icount >= icount)
                return exit.Reason;
            // A guest that halts before the next event of its log executes something else than was recorded.
            Assert.NotEqual(MachineExitReason.Idle, exit.Reason);
        }
    }

    /// <summary>
    /// Replays the log event by event up to a final exit; at every few events the machine is replaced by one restored from its snapshot.
    /// </summary>
    public static Execution ReplayMoving(Func<GuestMachine> create, int seed, List<(ulong Icount, InputEvent Input)> log)
    {
        var random = new Random(seed);
        var effects = new List<string>();
        var machine = create();
        try
        {
            foreach (var (icount, input) in log)
            {
                effects.AddRange(ScriptedMachine.Describe(machine.Run(icount - machine.Icount).Effects));
                Assert.Equal(icount, machine.Icount);
                if (random.Next(8) == 0)
                    machine = MoveTo(create(), machine);
                machine.Inject(input);
            }
            var exit = machine.Run(1_000_000);
            effects.AddRange(ScriptedMachine.Describe(exit.Effects));
            return new Execution(exit.Reason, effects, machine.ComputeFullDigest());
        }
        finally
        {
            machine.Dispose();
        }
    }

    private static GuestMachine MoveTo(GuestMachine other, GuestMachine machine)
    {
        var writer = new StateWriter();
        machine.Snapshot(writer);
        for (var page = 0; page < machine.Memory.PageCount; page++)
            Assert.True(other.Memory.TryWrite(machine.Memory.PhysicalAddressOf(page), machine.Memory.Page(page)));
        Assert.Equal(SnapshotError.None, other.Restore(new StateReader(writer.Written.ToArray())));
        Assert.Equal(machine.ComputeFullDigest(), other.ComputeFullDigest());
        machine.Dispose();
        return other;
    }
}
