using FtAkka.Machine;

namespace FtAkka.TinyGuests.Tests;

/// <summary>The reboot workload on the real machine and processor.</summary>
public sealed class TinyRebootTests
{
    private const ulong OneSlice = 1_000_000_000;

    [Theory]
    [InlineData("", OneSlice)]
    [InlineData("", 97)]
    [InlineData(" how=1", OneSlice)]
    [InlineData(" how=1", 97)]
    [InlineData(" how=2", OneSlice)]
    public void Guest_that_starts_again_counts_its_boots_and_switches_off(string how, ulong slice)
    {
        using GuestMachine machine = Create($"workload=reboot count=4{how}", EndPolicy.Restart, EndPolicy.Restart);
        var driver = new TinyGuestDriver(machine, [], _ => null);
        Assert.Equal(MachineExitReason.PowerOff, driver.Run(slice));
        Assert.Equal(TinyGuest.RebootText(4), driver.Console);
        Assert.Equal(3UL, machine.Restarts);
    }

    [Theory]
    [InlineData("", MachineExitReason.Reset)]
    [InlineData(" how=1", MachineExitReason.TripleFault)]
    [InlineData(" how=2", MachineExitReason.Panic)]
    public void Guest_that_may_not_start_again_ends_with_its_reason(string how, MachineExitReason reason)
    {
        using GuestMachine machine = Create($"workload=reboot{how}", EndPolicy.Stop, EndPolicy.Stop);
        var driver = new TinyGuestDriver(machine, [], _ => null);
        Assert.Equal(reason, driver.Run(OneSlice));
        Assert.Equal(TinyGuest.RebootText(1), driver.Console);
    }

    [Fact]
    public void Guest_that_crashes_in_a_loop_is_held()
    {
        using GuestMachine machine = Create("workload=reboot how=1 count=100", EndPolicy.Restart, EndPolicy.Restart);
        var driver = new TinyGuestDriver(machine, [], _ => null);
        Assert.Equal(MachineExitReason.Held, driver.Run(OneSlice));
        Assert.Equal(TinyGuest.RebootText(GuestMachine.CrashesInRowMax), driver.Console);
    }

    private static GuestMachine Create(string commandLine, EndPolicy onReboot, EndPolicy onCrash)
    {
        var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = commandLine, OnReboot = onReboot, OnCrash = onCrash });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        return machine;
    }
}
