using FtAkka.Cpu;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Tests.Boot;

namespace FtAkka.Machine.Tests.Running;

/// <summary>What follows a reboot, a crash and a power-off, and what a machine is like that was started again.</summary>
public sealed class RestartTests
{
    private const ulong BootFlag = 0x472;

    private static readonly byte[] Kernel = SyntheticKernel.BzImage();
    private static readonly byte[] Initrd = [.. "an initial RAM disk"u8];

    private static readonly MachineConfig Restarting = new()
    {
        MemoryBytes = 32 << 20,
        OnReboot = EndPolicy.Restart,
        OnCrash = EndPolicy.Restart,
        OnPowerOff = EndPolicy.Restart,
    };

    [Theory]
    [InlineData(ScriptedMachine.ResetRegister, 0x42, MachineExitReason.Reset)]
    [InlineData(ScriptedMachine.SleepControl, 0x34, MachineExitReason.PowerOff)]
    public void Machine_starts_again_behind_the_instruction_and_icount_clock_and_console_go_on(ulong register, byte value, MachineExitReason cause)
    {
        using ScriptedMachine scripted = Started((icount, bus) =>
        {
            if (icount is 2 or 8)
                ScriptedMachine.Print(bus, 'x');
            if (icount == 5)
                bus.MmioWrite(register, 1, value);
            return ScriptedStep.Next;
        });
        scripted.Machine.Inject(new ClockAdvance(1_000_000));
        MachineExit exit = scripted.Machine.Run(20);
        Assert.Equal((MachineExitReason.BudgetSpent, 20UL), (exit.Reason, exit.Icount));
        Assert.Equal(
            [$"{new ConsoleText(2, 0)}", $"{new MachineRestarted(6, cause)}", $"{new ConsoleText(8, 1)}"],
            exit.Effects.Select(effect => effect is ConsoleOutput output ? $"{new ConsoleText(output.Icount, output.StreamOffset)}" : $"{effect}"));
        Assert.True(scripted.Machine.Tsc >= 1_000_000);
        Assert.Equal(1UL, scripted.Machine.Restarts);
    }

    private sealed record ConsoleText(ulong Icount, ulong Offset);

    [Fact]
    public void Memory_and_devices_are_as_after_power_on()
    {
        ulong spurious = 0, pin = 0, interruptEnable = 0;
        using ScriptedMachine scripted = Started((icount, bus) =>
        {
            switch (icount)
            {
                case 1:
                    ScriptedMachine.SetUp(bus);
                    ScriptedMachine.ArmTimer(bus, 1000);
                    break;
                case 5:
                    bus.MmioWrite(ScriptedMachine.ResetRegister, 1, 0x42);
                    break;
                case 7:
                    spurious = bus.MmioRead(ScriptedMachine.LocalApic + 0xF0, 4);
                    bus.MmioWrite(ScriptedMachine.IoApic, 4, 0x10 + (2 * 4));
                    pin = bus.MmioRead(ScriptedMachine.IoApic + 0x10, 4);
                    interruptEnable = bus.PortRead(0x3F9, 1);
                    break;
                default:
                    break;
            }
            return ScriptedStep.Next;
        });
        using ScriptedMachine fresh = Started((_, _) => ScriptedStep.Next);
        GuestMachine machine = scripted.Machine;
        BootEntry? entry = scripted.Cpu.Entry;
        machine.Memory.TryWrite(0x47_0000, new byte[] { 1, 2, 3 });
        machine.Memory.TryWrite(SyntheticKernel.PreferredAddress, new byte[] { 0xFF, 0xFF });
        Assert.NotEqual(fresh.Machine.ComputeFullDigest().Memory, machine.ComputeFullDigest().Memory);
        Assert.NotNull(machine.Run(3).NextTimerTsc);
        machine.Run(3);
        Assert.Equal(fresh.Machine.ComputeFullDigest().Memory, machine.ComputeFullDigest().Memory);
        MachineExit exit = machine.Run(4);
        Assert.Equal((0xFFUL, 1UL << 16, 0UL), (spurious, pin, interruptEnable));
        Assert.Null(exit.NextTimerTsc);
        Assert.Equal(entry, scripted.Cpu.Entry);
    }

    [Theory]
    [InlineData(0x1234, MachineExitReason.Panic)]
    [InlineData(0, MachineExitReason.Reset)]
    public void Warm_boot_flag_tells_a_panic_from_a_reboot(int flag, MachineExitReason reason)
    {
        using ScriptedMachine scripted = Started(
            (icount, bus) => Reset(bus, icount == 5), new MachineConfig { MemoryBytes = 32 << 20 });
        scripted.Machine.Memory.TryWrite(BootFlag, BitConverter.GetBytes((ushort)flag));
        MachineExit exit = scripted.Machine.Run(100);
        Assert.Equal((reason, 6UL), (exit.Reason, exit.Icount));
    }

    [Fact]
    public void Panic_is_a_crash_and_a_reboot_is_none()
    {
        using ScriptedMachine scripted = Started((icount, bus) => Reset(bus, icount == 5), Restarting with { OnCrash = EndPolicy.Stop });
        scripted.Machine.Memory.TryWrite(BootFlag, BitConverter.GetBytes((ushort)0x1234));
        Assert.Equal(MachineExitReason.Panic, scripted.Machine.Run(100).Reason);

        using ScriptedMachine reboots = Started((icount, bus) => Reset(bus, icount % 10 == 5), Restarting with { OnCrash = EndPolicy.Stop });
        Assert.Equal(MachineExitReason.BudgetSpent, reboots.Machine.Run(1000).Reason);
        Assert.Equal(100UL, reboots.Machine.Restarts);
    }

    [Fact]
    public void Machine_that_crashes_again_and_again_is_held_and_a_reset_by_an_operator_starts_it_again()
    {
        using ScriptedMachine scripted = Started((icount, _) => icount % 10 == 5 && icount < 100 ? ScriptedStep.TripleFault : ScriptedStep.Next);
        GuestMachine machine = scripted.Machine;
        MachineExit exit = machine.Run(1000);
        Assert.Equal((MachineExitReason.Held, 46UL, 4UL), (exit.Reason, exit.Icount, machine.Restarts));
        Assert.Equal(new MachineHeld(46, MachineExitReason.TripleFault, GuestMachine.CrashesInRowMax), exit.Effects[^1]);
        Assert.Equal((MachineExitReason.Held, 46UL, 0), (machine.Run(1000).Reason, machine.Icount, machine.Run(10).Effects.Count));

        machine.Inject(new ClockAdvance(1_000_000));
        machine.Inject(new Control(ControlOperation.Reset));
        exit = machine.Run(1000);
        // The count begins anew.
        Assert.Equal((MachineExitReason.Held, 96UL, 9UL), (exit.Reason, exit.Icount, machine.Restarts));
        machine.Inject(new Control(ControlOperation.PowerOff));
        Assert.Equal(MachineExitReason.PowerOff, machine.Run(10).Reason);
    }

    [Fact]
    public void Crashes_of_a_guest_that_lived_long_between_are_not_in_a_row()
    {
        using ScriptedMachine scripted = Started((icount, _) => icount % 10 == 5 ? ScriptedStep.TripleFault : ScriptedStep.Next);
        GuestMachine machine = scripted.Machine;
        for (int crash = 1; crash <= 20; crash++)
        {
            machine.Inject(new ClockAdvance(machine.Tsc + ((ulong)GuestMachine.SteadySeconds * 1_000_000_000)));
            Assert.Equal(MachineExitReason.BudgetSpent, machine.Run(10).Reason);
            Assert.Equal((ulong)crash, machine.Restarts);
        }
    }

    [Fact]
    public void Held_machine_keeps_its_memory()
    {
        using ScriptedMachine scripted = Started(
            (icount, _) => icount == 5 ? ScriptedStep.TripleFault : ScriptedStep.Next, Restarting with { OnCrash = EndPolicy.Hold });
        scripted.Machine.Memory.TryWrite(0x47_0000, new byte[] { 1, 2, 3 });
        Assert.Equal(MachineExitReason.Held, scripted.Machine.Run(100).Reason);
        byte[] kept = new byte[3];
        scripted.Machine.Memory.TryRead(0x47_0000, kept);
        Assert.Equal([1, 2, 3], kept);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Replay_restarts_where_the_recording_did_however_both_are_cut(int seed)
    {
        static ScriptedStep Program(ulong icount, ICpuBus bus)
        {
            ScriptedMachine.Print(bus, (char)('a' + (icount % 26)));
            if (icount % 1700 == 5)
                bus.MmioWrite(ScriptedMachine.ResetRegister, 1, 0x42);
            return icount % 2300 == 7 ? ScriptedStep.TripleFault : ScriptedStep.Next;
        }
        const ulong End = 30_000;
        var log = new List<(ulong, InputEvent)>();
        Execution recorded;
        using (ScriptedMachine live = Started(Program))
        {
            recorded = RecordReplay.Record(live.Machine, seed, End, log);
            Assert.True(live.Machine.Restarts > 20, $"seed {seed}: {live.Machine.Restarts} restarts");
        }
        foreach (Random? cuts in (Random?[])[null, new Random(seed + 100)])
        {
            using ScriptedMachine again = Started(Program);
            Execution replayed = RecordReplay.Replay(again.Machine, cuts, End, log);
            Assert.Equal(recorded.Effects, replayed.Effects);
            Assert.Equal(recorded.Digest, replayed.Digest);
        }
    }

    [Fact]
    public void Restored_machine_starts_again_from_the_same_files_and_takes_no_others()
    {
        static ScriptedStep Program(ulong icount, ICpuBus bus) => icount % 50 == 5 ? Reset(bus, true) : icount == 60 ? ScriptedStep.TripleFault : ScriptedStep.Next;
        using ScriptedMachine scripted = Started(Program);
        scripted.Machine.Run(80);
        using ScriptedMachine other = Moved(scripted.Machine, Program);
        Assert.False(other.Machine.TryTakeBootFiles(null));
        Assert.False(other.Machine.TryTakeBootFiles(new BootFiles(Kernel, default)));
        Assert.True(other.Machine.TryTakeBootFiles(Pages(scripted.Machine.BootFiles!)));
        Assert.Equal(scripted.Machine.Run(100).Effects, other.Machine.Run(100).Effects);
        Assert.Equal(scripted.Machine.ComputeFullDigest(), other.Machine.ComputeFullDigest());
        Assert.Equal(5UL, other.Machine.Restarts);
    }

    [Fact]
    public void Old_configuration_ends_as_it_did()
    {
        var config = new MachineConfig { MemoryBytes = 4 << 20 };
        Assert.Equal((EndPolicy.Stop, EndPolicy.Stop, EndPolicy.Stop), (config.OnReboot, config.OnCrash, config.OnPowerOff));
    }

    [Fact]
    public void Only_a_crash_can_be_held()
    {
        Assert.Null((Restarting with { OnCrash = EndPolicy.Hold }).FindError());
        Assert.Contains("after a crash", (Restarting with { OnReboot = EndPolicy.Hold }).FindError(), StringComparison.Ordinal);
        Assert.Contains("after a crash", (Restarting with { OnPowerOff = EndPolicy.Hold }).FindError(), StringComparison.Ordinal);
        Assert.Contains("after a crash", (Restarting with { OnCrash = (EndPolicy)9 }).FindError(), StringComparison.Ordinal);
    }

    private static ScriptedStep Reset(ICpuBus bus, bool now)
    {
        if (now)
            bus.MmioWrite(ScriptedMachine.ResetRegister, 1, 0x42);
        return ScriptedStep.Next;
    }

    private static ScriptedMachine Started(Func<ulong, ICpuBus, ScriptedStep> program, MachineConfig? config = null)
    {
        var scripted = new ScriptedMachine(program, config ?? Restarting);
        Assert.Null(scripted.Machine.LoadLinux(Kernel, Initrd));
        return scripted;
    }

    private static ScriptedMachine Moved(GuestMachine machine, Func<ulong, ICpuBus, ScriptedStep> program)
    {
        var other = new ScriptedMachine(program, Restarting);
        var writer = new StateWriter();
        machine.Snapshot(writer);
        for (int page = 0; page < machine.Memory.PageCount; page++)
            Assert.True(other.Machine.Memory.TryWrite(machine.Memory.PhysicalAddressOf(page), machine.Memory.Page(page)));
        Assert.Equal(SnapshotError.None, other.Machine.Restore(new StateReader(writer.Written.ToArray())));
        return other;
    }

    /// <summary>The files as a copy of a machine brings them.</summary>
    private static BootFiles? Pages(BootFiles files) =>
        BootFiles.TryRead(Enumerable.Range(0, files.PageCount).SelectMany(files.Page).ToArray());
}
