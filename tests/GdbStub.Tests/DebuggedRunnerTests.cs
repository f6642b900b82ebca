using FtAkka.Machine;
using FtAkka.TinyGuests;

namespace FtAkka.GdbStub.Tests;

/// <summary>A live machine under a debugger.</summary>
public sealed class DebuggedRunnerTests
{
    [Fact]
    public void Killed_machine_executes_nothing_for_the_moment_that_its_end_takes()
    {
        using var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = "workload=counter" });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, []));
        bool killed = false;
        using var runner = new DebuggedRunner(machine, () => false, () => killed = true);

        runner.Kill();
        // The debugger's connection closes before the VM's end gets to the machine.
        runner.Detach();

        Assert.True(killed);
        Assert.Equal(0ul, runner.Run(1000).Icount);
    }
}
