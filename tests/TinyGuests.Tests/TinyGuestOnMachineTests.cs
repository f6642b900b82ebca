using System.Collections.Immutable;
using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.TinyGuests.Tests;

/// <summary>The tiny guest on the real machine and processor; what must come out is computed by the guest's references.</summary>
public sealed class TinyGuestOnMachineTests
{
    private const ulong OneSlice = 1_000_000_000;

    private static readonly ImmutableArray<byte> GuestMac = [2, 0, 0, 0, 0, 1];
    private static readonly byte[] HostMac = [2, 0, 0, 0, 0, 2];

    [Fact]
    public void Without_a_workload_it_says_hello_and_powers_off() => Assert.Equal(TinyGuest.HelloText, Run(""));

    [Fact]
    public void Counter_prints_a_line_per_timer_tick() => Assert.Equal(TinyGuest.CounterText(20), Run("workload=counter count=20"));

    [Theory]
    [InlineData(OneSlice)]
    [InlineData(997)]
    public void Compute_agrees_with_the_reference_however_the_run_is_cut(ulong slice) =>
        Assert.Equal(TinyGuest.ComputeText(0xabc, 2), Run("workload=compute rounds=2 seed=0xabc", slice: slice));

    [Fact]
    public void Journal_is_on_the_disk_and_goes_on_after_a_restart()
    {
        byte[] disk = new byte[64 * JournalRecord.SizeBytes];

        Assert.Equal(TinyGuest.JournalText(7, 5), Run("workload=journal records=5 seed=7", disk));
        Assert.Equal(TinyGuest.JournalText(7, 9, present: 5), Run("workload=journal records=9 seed=7 pause=1000", disk));
        Assert.Equal(JournalRecord.Expected(7, 9), disk[..(9 * JournalRecord.SizeBytes)]);
    }

    [Fact]
    public void Console_answers_typed_bytes()
    {
        using GuestMachine machine = Create("workload=console", []);
        var driver = new TinyGuestDriver(machine, [], _ => null);

        Assert.Equal(MachineExitReason.Idle, driver.Run(OneSlice));
        machine.Inject(new ConsoleInput(ConsoleKind.Serial, [.. Encoding.ASCII.GetBytes("Hello, World 1\n\u0004")]));

        Assert.Equal(MachineExitReason.PowerOff, driver.Run(OneSlice));
        Assert.Equal(TinyGuest.ConsoleText("Hello, World 1\n"), driver.Console);
    }

    [Fact]
    public void Echo_answers_in_sequence_and_repeats_itself()
    {
        var reference = new EchoReference(GuestMac.ToArray());
        var answers = new List<byte[]>();
        using GuestMachine machine = Create("workload=echo requests=40", []);
        var driver = new TinyGuestDriver(machine, [], frame =>
        {
            answers.Add([.. frame]);
            return null;
        });

        Assert.Equal(MachineExitReason.Idle, driver.Run(OneSlice));
        for (ulong sequence = 1; sequence <= 40; sequence++)
        {
            byte[] payload = [.. Enumerable.Range(0, (int)(sequence * 35)).Select(i => (byte)(i * (int)sequence))];
            byte[] request = EchoFrame.Request(GuestMac.AsSpan(), HostMac, sequence, payload);
            int repeats = sequence % 3 == 0 && sequence < 40 ? 2 : 1;
            for (int i = 0; i < repeats; i++)
            {
                byte[] expected = reference.Answer(request)!;
                machine.Inject(new NetReceive(0, [.. request]));
                driver.Run(OneSlice);
                Assert.Equal(expected, answers[^1]);
            }
        }

        Assert.Equal(40ul, reference.Served);
        Assert.Equal(53, answers.Count);
        Assert.Equal(MachineExitReason.PowerOff, machine.Run(1).Reason);
        Assert.Equal($"echo ready\necho served {40:x16} {reference.State:x16}\n", driver.Console);
    }

    [Fact]
    public void Unknown_workload_resets()
    {
        using GuestMachine machine = Create("workload=nonesuch", []);
        var driver = new TinyGuestDriver(machine, [], _ => null);

        Assert.Equal(MachineExitReason.Reset, driver.Run(OneSlice));
        Assert.Equal("unknown workload\n", driver.Console);
    }

    private static string Run(string commandLine, byte[]? disk = null, ulong slice = OneSlice)
    {
        using GuestMachine machine = Create(commandLine, disk ?? []);
        var driver = new TinyGuestDriver(machine, disk ?? [], _ => null);
        Assert.Equal(MachineExitReason.PowerOff, driver.Run(slice));
        return driver.Console;
    }

    private static GuestMachine Create(string commandLine, byte[] disk)
    {
        var machine = new GuestMachine(new MachineConfig
        {
            MemoryBytes = 16 << 20,
            CommandLine = commandLine,
            Disks = disk.Length == 0 ? [] : [new BlockOptions { CapacitySectors = (ulong)disk.Length / 512 }],
            Nics = [new NetOptions { Mac = GuestMac }],
        });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        return machine;
    }
}
