using System.Text;
using FtAkka.Cpu;
using FtAkka.Machine.Events;

namespace FtAkka.Machine.Tests.Running;

/// <summary>The whole machine: tiny kernels on the real vCPU.</summary>
public sealed class RealCpuTests
{
    private const ulong IcountMax = 20_000_000;

    private static GuestMachine Boot(byte[] kernel, VcpuOptions? options = null)
    {
        var machine = new GuestMachine(new MachineConfig { MemoryBytes = 32 << 20, BootUnixSeconds = 1_700_000_000, RngSeed = 7 }, options);
        Assert.Null(machine.LoadLinux(kernel, default));
        return machine;
    }

    [Fact]
    public void Kernel_prints_to_the_uart_and_powers_off()
    {
        using var machine = Boot(TinyGuest.Hello());
        var exit = machine.Run(1000);
        Assert.Equal(MachineExitReason.PowerOff, exit.Reason);
        Assert.Equal("hello\n", string.Concat(exit.Effects.OfType<ConsoleOutput>().Select(o => Encoding.ASCII.GetString(o.Bytes.AsSpan()))));
        // Three instructions per character, then MOV RDI and the store that powers off.
        Assert.Equal(3UL * 6 + 2, exit.Icount);
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    public void Replay_in_other_quanta_equals_the_recording(int seed)
    {
        var kernel = TinyGuest.Busy(sleeps: 300);
        var log = new List<(ulong, InputEvent)>();
        Execution recorded;
        using (var live = Boot(kernel))
            recorded = RecordReplay.Record(live, seed, IcountMax, log);
        Assert.Equal(MachineExitReason.PowerOff, recorded.Reason);
        Assert.True(log.Count > 300 && recorded.Effects.Count > 500, $"seed {seed}: {log.Count} inputs, {recorded.Effects.Count} effects");

        using var machine = Boot(kernel);
        var replayed = RecordReplay.Replay(machine, new Random(seed + 1000), IcountMax, log);
        Assert.Equal(recorded.Effects, replayed.Effects);
        Assert.Equal(recorded.Digest, replayed.Digest);
    }

    [Fact]
    public void Replay_over_snapshot_and_restore_in_another_machine_equals_the_recording()
    {
        var kernel = TinyGuest.Busy(sleeps: 40);
        var log = new List<(ulong, InputEvent)>();
        Execution recorded;
        using (var live = Boot(kernel))
            recorded = RecordReplay.Record(live, 21, IcountMax, log);
        var replayed = RecordReplay.ReplayMoving(() => Boot(kernel), 22, log);
        Assert.Equal(recorded.Effects, replayed.Effects);
        Assert.Equal(recorded.Digest, replayed.Digest);
    }
}
