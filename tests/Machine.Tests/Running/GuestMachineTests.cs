using FtAkka.Cpu;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Tests.Boot;

namespace FtAkka.Machine.Tests.Running;

/// <summary>The machine around a scripted CPU.</summary>
public sealed class GuestMachineTests
{
    private static ScriptedStep Idle(ulong icount, ICpuBus bus) => ScriptedStep.Next;

    [Fact]
    public void Console_bytes_leave_in_order_with_icount_and_stream_offset()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount is 3 or 7)
                ScriptedMachine.Print(bus, (char)('0' + icount));
            return ScriptedStep.Next;
        });
        var exit = scripted.Machine.Run(10);
        Assert.Equal((MachineExitReason.BudgetSpent, 10UL), (exit.Reason, exit.Icount));
        Assert.Equal(["3 Serial 0 33", "7 Serial 1 37"], ScriptedMachine.Describe(exit.Effects));
        Assert.Empty(scripted.Machine.Run(10).Effects);
    }

    [Fact]
    public void Timer_expires_at_the_first_icount_whose_tsc_reaches_it()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
                ScriptedMachine.SetUp(bus);
            if (icount == 64)
                ScriptedMachine.ArmTimer(bus, 100);
            return ScriptedStep.Next;
        });
        scripted.Machine.Run(100_000);
        // Armed at TSC 2, one tick per 32 instructions: due at TSC 102.
        Assert.Equal([(102UL * 32, ScriptedMachine.TimerVector)], scripted.Cpu.Interrupts);
    }

    [Fact]
    public void Halted_guest_is_idle_until_a_clock_advance_reaches_its_timer()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
            {
                ScriptedMachine.SetUp(bus);
                ScriptedMachine.ArmTimer(bus, 1_000_000);
            }
            return icount == 9 ? ScriptedStep.Halt : ScriptedStep.Next;
        });
        var exit = scripted.Machine.Run(1000);
        Assert.Equal((MachineExitReason.Idle, 10UL, 1_000_000UL), (exit.Reason, exit.Icount, exit.NextTimerTsc!.Value));
        Assert.Equal(10UL, scripted.Machine.Inject(new ClockAdvance(999_999)));
        Assert.Equal(MachineExitReason.Idle, scripted.Machine.Run(1000).Reason);
        scripted.Machine.Inject(new ClockAdvance(1_000_000));
        Assert.Equal(MachineExitReason.BudgetSpent, scripted.Machine.Run(1000).Reason);
        Assert.Equal([(10UL, ScriptedMachine.TimerVector)], scripted.Cpu.Interrupts);
        Assert.Equal(1_000_000UL + 1000 / 32, scripted.Machine.Tsc);
    }

    [Fact]
    public void Halt_at_the_icount_at_which_the_timer_expires_is_no_wait()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
            {
                ScriptedMachine.SetUp(bus);
                ScriptedMachine.ArmTimer(bus, 1);
            }
            return icount == 31 ? ScriptedStep.Halt : ScriptedStep.Next;
        });
        Assert.Equal(MachineExitReason.BudgetSpent, scripted.Machine.Run(100).Reason);
        Assert.Equal([(32UL, ScriptedMachine.TimerVector)], scripted.Cpu.Interrupts);
    }

    [Fact]
    public void Halt_with_interrupts_disabled_is_idle_even_with_a_request_pending()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
                ScriptedMachine.SetUp(bus);
            return icount == 5 ? ScriptedStep.Halt : ScriptedStep.Next;
        });
        scripted.Cpu.InterruptsEnabled = false;
        scripted.Machine.Run(1000);
        scripted.Machine.Inject(new ConsoleInput(ConsoleKind.Serial, [1]));
        Assert.Equal(MachineExitReason.Idle, scripted.Machine.Run(1000).Reason);
        scripted.Machine.Inject(new Control(ControlOperation.Nmi));
        Assert.Equal(MachineExitReason.BudgetSpent, scripted.Machine.Run(1000).Reason);
        Assert.Equal([(6UL, 2)], scripted.Cpu.Interrupts);
    }

    [Fact]
    public void Console_input_interrupts_the_guest_which_reads_it()
    {
        var read = new List<uint>();
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
                ScriptedMachine.SetUp(bus);
            while ((bus.PortRead(0x3FD, 1) & 1) != 0)
                read.Add(bus.PortRead(0x3F8, 1));
            return ScriptedStep.Halt;
        });
        Assert.Equal(MachineExitReason.Idle, scripted.Machine.Run(1000).Reason);
        scripted.Machine.Inject(new ConsoleInput(ConsoleKind.Serial, [.. "hi"u8]));
        Assert.Equal(MachineExitReason.Idle, scripted.Machine.Run(1000).Reason);
        Assert.Equal(["h"u8[0], "i"u8[0]], read);
        Assert.Equal([(1UL, ScriptedMachine.UartVector)], scripted.Cpu.Interrupts);
    }

    [Theory]
    [InlineData(ScriptedMachine.SleepControl, 0x34, MachineExitReason.PowerOff)]
    [InlineData(ScriptedMachine.ResetRegister, 0x42, MachineExitReason.Reset)]
    public void Power_register_ends_the_run_after_its_instruction_for_good(ulong register, byte value, MachineExitReason reason)
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 5)
                bus.MmioWrite(register, 1, value);
            return ScriptedStep.Next;
        });
        var exit = scripted.Machine.Run(1000);
        Assert.Equal((reason, 6UL), (exit.Reason, exit.Icount));
        Assert.Equal(5UL, Assert.Single(exit.Effects).Icount);
        exit = scripted.Machine.Run(1000);
        Assert.Equal((reason, 6UL, 0), (exit.Reason, exit.Icount, exit.Effects.Count));
    }

    [Fact]
    public void Triple_fault_ends_the_run_for_good()
    {
        using var scripted = new ScriptedMachine((icount, _) => icount == 5 ? ScriptedStep.TripleFault : ScriptedStep.Next);
        Assert.Equal(MachineExitReason.TripleFault, scripted.Machine.Run(1000).Reason);
        var exit = scripted.Machine.Run(1000);
        Assert.Equal((MachineExitReason.TripleFault, 5UL), (exit.Reason, exit.Icount));
    }

    [Theory]
    [InlineData(ControlOperation.PowerOff, MachineExitReason.PowerOff)]
    [InlineData(ControlOperation.Reset, MachineExitReason.Reset)]
    public void Operator_ends_the_run(ControlOperation operation, MachineExitReason reason)
    {
        using var scripted = new ScriptedMachine(Idle);
        scripted.Machine.Inject(new Control(operation));
        Assert.Equal(reason, scripted.Machine.Run(10).Reason);
    }

    [Fact]
    public void Many_effects_end_the_run_early_and_none_is_lost()
    {
        var config = new MachineConfig { MemoryBytes = 4 << 20, Limits = new MachineLimits { EffectsPerRunMax = 3 } };
        using var scripted = new ScriptedMachine((_, bus) =>
        {
            ScriptedMachine.Print(bus, '.');
            return ScriptedStep.Next;
        }, config);
        var exit = scripted.Machine.Run(4);
        Assert.Equal((MachineExitReason.EffectsPending, 3UL, 3), (exit.Reason, exit.Icount, exit.Effects.Count));
        exit = scripted.Machine.Run(1);
        Assert.Equal((MachineExitReason.BudgetSpent, 4UL, 1), (exit.Reason, exit.Icount, exit.Effects.Count));
    }

    [Fact]
    public void Large_effects_end_the_run_early_and_none_is_lost()
    {
        long bytesOfOne = new ConsoleOutput(0, ConsoleKind.Serial, 0, [1]).CountBytes();
        var config = new MachineConfig { MemoryBytes = 4 << 20, Limits = new MachineLimits { EffectBytesPerRunMax = (2 * bytesOfOne) + 1 } };
        using var scripted = new ScriptedMachine((_, bus) =>
        {
            ScriptedMachine.Print(bus, '.');
            return ScriptedStep.Next;
        }, config);
        for (ulong run = 1; run <= 3; run++)
        {
            var exit = scripted.Machine.Run(100);
            Assert.Equal((MachineExitReason.EffectsPending, 3 * run, 3), (exit.Reason, exit.Icount, exit.Effects.Count));
        }
    }

    [Fact]
    public void Event_is_delivered_at_the_icount_at_which_the_machine_stands()
    {
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
                ScriptedMachine.SetUp(bus);
            return ScriptedStep.Next;
        });
        scripted.Machine.Run(77);
        Assert.Equal(77UL, scripted.Machine.Inject(new ConsoleInput(ConsoleKind.Serial, [1])));
        scripted.Machine.Run(1000);
        Assert.Equal([(77UL, ScriptedMachine.UartVector)], scripted.Cpu.Interrupts);
    }

    [Fact]
    public void Event_for_a_device_that_is_not_there_is_counted_and_changes_nothing()
    {
        using var scripted = new ScriptedMachine(Idle);
        scripted.Machine.Inject(new NetReceive(3, [1, 2, 3]));
        scripted.Machine.Inject(new ConsoleInput(ConsoleKind.Virtio, [1]));
        Assert.Equal(2UL, scripted.Machine.RefusedInputCount);
    }

    [Fact]
    public void Tsc_deadline_is_in_the_guests_adjusted_tsc()
    {
        ulong shown = 0;
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
            {
                ScriptedMachine.SetUp(bus, timerMode: 2);
                Assert.True(bus.TryWriteMsr(0x6E0, 1_000_010));
                Assert.True(bus.TryReadMsr(0x6E0, out shown));
            }
            return ScriptedStep.Next;
        });
        scripted.Cpu.TscAdjust = 1_000_000;
        scripted.Machine.Run(1000);
        Assert.Equal(1_000_010UL, shown);
        Assert.Equal([(320UL, ScriptedMachine.TimerVector)], scripted.Cpu.Interrupts);
    }

    [Fact]
    public void Address_space_has_devices_where_the_memory_map_says_and_all_ones_elsewhere()
    {
        var seen = new Dictionary<string, ulong>();
        using var scripted = new ScriptedMachine((_, bus) =>
        {
            seen["virtio magic"] = bus.MmioRead(MemoryMap.VirtioBase, 4);
            seen["virtio device"] = bus.MmioRead(MemoryMap.VirtioBase + 8, 4);
            seen["no virtio"] = bus.MmioRead(MemoryMap.VirtioBase + MemoryMap.VirtioWindowBytes, 4);
            seen["apic version"] = bus.MmioRead(ScriptedMachine.LocalApic + 0x30, 4);
            seen["pci"] = bus.PortRead(0xCFC, 4);
            seen["second uart"] = bus.PortRead(0x2F8, 1);
            seen["unknown msr"] = bus.TryReadMsr(0x1234, out _) ? 1UL : 0;
            return ScriptedStep.Next;
        });
        scripted.Machine.Run(1);
        Assert.Equal(0x7472_6976UL, seen["virtio magic"]);
        Assert.Equal(4UL, seen["virtio device"]);
        Assert.Equal(0xFFFF_FFFFUL, seen["no virtio"]);
        Assert.Equal(0x0005_0014UL, seen["apic version"]);
        Assert.Equal(0xFFFF_FFFFUL, seen["pci"]);
        Assert.Equal(0xFFUL, seen["second uart"]);
        Assert.Equal(0UL, seen["unknown msr"]);
    }

    [Fact]
    public void Kernel_is_loaded_and_entered()
    {
        using var scripted = new ScriptedMachine(Idle, new MachineConfig { MemoryBytes = 32 << 20 });
        Assert.Null(scripted.Machine.LoadLinux(SyntheticKernel.BzImage(), default));
        Assert.Equal(SyntheticKernel.PreferredAddress + 0x200, scripted.Cpu.Entry!.Value.Rip);
        Assert.Equal(BootErrorKind.NotAKernel, scripted.Machine.LoadLinux(new byte[] { 1, 2, 3 }, default)!.Kind);
    }

    [Fact]
    public void Digest_names_the_part_and_the_page_that_differ()
    {
        using var first = new ScriptedMachine(Idle);
        using var second = new ScriptedMachine(Idle);
        Assert.Equal(first.Machine.ComputeDigest(), second.Machine.ComputeDigest());
        first.Machine.Memory.TryWrite(0x5008, [1]);
        second.Machine.Memory.TryWrite(0x5008, [2]);
        var (firstPages, secondPages) = (new List<PageDigest>(), new List<PageDigest>());
        var (a, b) = (first.Machine.ComputeDigest(firstPages), second.Machine.ComputeDigest(secondPages));
        Assert.Equal((a.Cpu, a.Devices), (b.Cpu, b.Devices));
        Assert.NotEqual(a.Memory, b.Memory);
        Assert.Equal(0x5000UL, Assert.Single(firstPages).PhysicalAddress);
        Assert.NotEqual(firstPages, secondPages);
        Assert.Equal(first.Machine.ComputeDigest(), second.Machine.ComputeDigest());
        Assert.NotEqual(first.Machine.ComputeFullDigest().Memory, second.Machine.ComputeFullDigest().Memory);
    }

    [Fact]
    public void Restarted_digests_forget_how_the_state_was_reached()
    {
        using var first = new ScriptedMachine(Idle);
        using var second = new ScriptedMachine(Idle);
        first.Machine.ComputeDigest();
        first.Machine.Memory.TryWrite(0x5000, [1]);
        first.Machine.Memory.TryWrite(0x6000, [0]);
        second.Machine.Memory.TryWrite(0x5000, [1]);
        first.Machine.StartDigests();
        second.Machine.StartDigests();
        first.Machine.Memory.TryWrite(0x7000, [1]);
        Assert.NotEqual(first.Machine.ComputeDigest(), second.Machine.ComputeDigest());
        second.Machine.Memory.TryWrite(0x7000, [1]);
        first.Machine.Memory.TryWrite(0x7000, [1]);
        Assert.Equal(first.Machine.ComputeDigest(), second.Machine.ComputeDigest());
    }

    [Theory]
    [InlineData(1UL << 20)]
    [InlineData((64UL << 20) + 5)]
    public void Configuration_with_an_impossible_memory_size_is_refused(ulong memoryBytes) =>
        Assert.NotNull(new MachineConfig { MemoryBytes = memoryBytes }.FindError());
}
