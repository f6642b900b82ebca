using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.TinyGuests;

namespace FtAkka.GdbStub.Tests;

/// <summary>A live machine under a debugger.</summary>
public sealed class DebuggedRunnerTests
{
    [Fact]
    public void Killed_machine_executes_nothing_for_the_moment_that_its_end_takes()
    {
        using var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = "workload=counter" });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        bool killed = false;
        using var runner = new DebuggedRunner(machine, () => false, () => killed = true);

        runner.Kill();
        // The debugger's connection closes before the VM's end gets to the machine.
        runner.Detach();

        Assert.True(killed);
        Assert.Equal(0ul, runner.Run(1000).Icount);
    }

    [Fact]
    public async Task Crash_that_is_held_stops_the_debugger_and_leaves_everything_to_be_seen()
    {
        using var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = "workload=reboot how=1", OnCrash = EndPolicy.Hold });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        using var runner = new DebuggedRunner(machine, () => false, () => { });

        for (int times = 0; times < 2; times++)
        {
            // The second time it goes nowhere.
            Task<DebugStop> stop = Task.Run(runner.Continue);
            while (!stop.IsCompleted)
            {
                MachineExit exit = runner.Run(1_000_000);
                if (exit is { Reason: MachineExitReason.Idle, NextTimerTsc: { } due })
                {
                    runner.Inject(new ClockAdvance(due));
                }
            }
            Assert.Equal(DebugStopKind.Crash, (await stop).Kind);
        }
        byte[] code = new byte[2];
        Assert.Equal(code.Length, runner.ReadMemory(machine.Vcpu!.Rip, code));
        Assert.Equal([0x0F, 0x0B], code);   // UD2
    }
}
