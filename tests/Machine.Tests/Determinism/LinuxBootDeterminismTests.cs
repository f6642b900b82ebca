using FtAkka.Cpu;
using FtAkka.Machine.Events;
using Xunit.Abstractions;

namespace FtAkka.Machine.Tests.Determinism;

/// <summary>
/// The determinism contract on real software (docs/determinism.md): a Linux boot gives equal state digests at equal icounts whether it runs in
/// long stretches or is stopped at random instructions, with random block lengths, its caches dropped in between.
/// </summary>
public sealed class LinuxBootDeterminismTests(ITestOutputHelper output)
{
    private const ulong ClockEvery = 500_000, DigestEvery = 20_000_000;

    [LinuxKernelFact]
    public void Boot_gives_equal_digests_however_it_is_interrupted()
    {
        bool whole = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";
        int seed = int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SEED"), out int asked) ? asked : 1;
        ulong end = whole ? 4_000_000_000 : 160_000_000;
        byte[] kernel = File.ReadAllBytes(LinuxKernelFactAttribute.Kernel);
        byte[] initramfs = File.ReadAllBytes(LinuxKernelFactAttribute.Initramfs);

        List<string> expected = Boot(kernel, initramfs, end, null);
        Assert.True(expected.Count >= 7, $"only {expected.Count} digests: the guest does not get far");
        for (int run = seed; run < seed + (whole ? 5 : 1); run++)
        {
            output.WriteLine($"seed {run}: repeat with FTAKKA_SEED={run} dotnet test tests/Machine.Tests --filter {nameof(LinuxBootDeterminismTests)}");
            Assert.Equal(expected, Boot(kernel, initramfs, end, new Random(run)));
        }
    }

    /// <summary>Boots, and lists the digests; <paramref name="random"/>: where to stop, how long blocks are, when caches are dropped.</summary>
    private static List<string> Boot(byte[] kernel, byte[] initramfs, ulong end, Random? random)
    {
        var config = new MachineConfig
        {
            MemoryBytes = 256 << 20,
            CommandLine = "console=ttyS0 reboot=t panic=-1 nokaslr cryptomgr.notests ftakka.run=\"uname -a; cat /proc/cpuinfo | sha256sum\"",
            BootUnixSeconds = 1_000_000_000,
        };
        using var machine = new GuestMachine(config, new VcpuOptions { MaxBlockInstructions = random?.Next(1, 65) ?? 64 });
        Assert.Null(machine.LoadLinux(kernel, initramfs));
        var digests = new List<string>();
        ulong nextClock = ClockEvery, nextDigest = DigestEvery, tsc = 0;
        while (machine.Icount < end)
        {
            ulong budget = Math.Min(Math.Min(nextClock, nextDigest), end) - machine.Icount;
            if (random is not null && random.Next(3) == 0)
            {
                budget = Math.Min(budget, (ulong)random.NextInt64(1, 1L << random.Next(1, 20)));
            }
            if (random is not null && random.Next(200) == 0)
            {
                machine.Vcpu!.DropCaches();
            }
            MachineExit exit = machine.Run(budget);
            if (exit.Reason is MachineExitReason.PowerOff or MachineExitReason.Reset or MachineExitReason.TripleFault)
            {
                digests.Add($"{exit.Reason} at {exit.Icount}: {machine.ComputeDigest()}");
                break;
            }
            if (exit.Reason == MachineExitReason.Idle)
            {
                // Time jumps to the timer the guest waits for.
                tsc = Math.Max(tsc, exit.NextTimerTsc ?? throw new InvalidOperationException("the guest is idle for ever"));
                machine.Inject(new ClockAdvance(tsc));
            }
            if (machine.Icount >= nextClock)
            {
                tsc = Math.Max(tsc + ClockEvery, machine.Tsc);
                machine.Inject(new ClockAdvance(tsc));
                nextClock += ClockEvery;
            }
            if (machine.Icount >= nextDigest)
            {
                digests.Add($"{machine.Icount}: {machine.ComputeDigest()}");
                nextDigest += DigestEvery;
            }
        }
        return digests;
    }
}
