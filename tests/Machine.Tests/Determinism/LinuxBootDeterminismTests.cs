using System.Security.Cryptography;
using FtAkka.Cpu;
using FtAkka.Machine.Events;
using Xunit.Abstractions;

namespace FtAkka.Machine.Tests.Determinism;

/// <summary>
/// The determinism contract on real software (docs/determinism.md): a Linux boot gives equal state digests at equal icounts whether it runs in
/// long stretches or is stopped at random instructions, with random block lengths, its caches dropped in between, and whatever the host's CPU leaves in flags
/// that are ours to define.
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
            Assert.Equal(expected, Boot(kernel, initramfs, end, new Random(run), flagNoise: (uint)run));
        }
    }

    /// <summary>
    /// The registers at tens of thousands of places, and not at those of the digests alone: most undefined flags are overwritten within a few instructions, and
    /// what few of them a program saves is seldom looked at.
    /// </summary>
    [LinuxKernelFact]
    public void Boot_has_equal_registers_whatever_the_host_leaves_in_undefined_flags()
    {
        bool whole = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";
        int seed = int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SEED"), out int asked) ? asked : 1;
        ulong end = whole ? 2_000_000_000UL : 160_000_000UL;
        byte[] kernel = File.ReadAllBytes(LinuxKernelFactAttribute.Kernel);
        byte[] initramfs = File.ReadAllBytes(LinuxKernelFactAttribute.Initramfs);
        output.WriteLine($"seed {seed}: repeat with FTAKKA_SEED={seed} dotnet test tests/Machine.Tests --filter {nameof(LinuxBootDeterminismTests)}");
        var expected = new List<ulong>();
        List<string> digests = Boot(kernel, initramfs, end, new Random(seed), registers: expected);
        Assert.True(expected.Count > 20_000, $"only {expected.Count} stops: the guest does not get far");
        for (ulong noise = 1; noise <= 2; noise++)
        {
            var actual = new List<ulong>();
            List<string> same = Boot(kernel, initramfs, end, new Random(seed), flagNoise: noise, registers: actual);
            int differing = expected.Zip(actual).Count(pair => pair.First != pair.Second) + Math.Abs(expected.Count - actual.Count);
            output.WriteLine($"noise {noise}: {expected.Count} stops, {differing} differ");
            Assert.Equal(0, differing);
            Assert.Equal(digests, same);
        }
    }

    /// <summary>
    /// Boots, and lists the digests; <paramref name="random"/>: where to stop, how long blocks are, when caches are dropped; <paramref name="registers"/>: gets a
    /// hash of the CPU's state at each stop, of which there is then one every 4,000 instructions.
    /// </summary>
    private static List<string> Boot(
        byte[] kernel, byte[] initramfs, ulong end, Random? random, ulong flagNoise = 0, List<ulong>? registers = null)
    {
        var config = new MachineConfig
        {
            MemoryBytes = 256 << 20,
            CommandLine = "console=ttyS0 reboot=t panic=-1 nokaslr cryptomgr.notests ftakka.run=\"uname -a; cat /proc/cpuinfo | sha256sum\"",
            BootUnixSeconds = 1_000_000_000,
        };
        using var machine = new GuestMachine(config, new VcpuOptions { MaxBlockInstructions = random?.Next(1, 65) ?? 64, FlagNoiseSeed = flagNoise });
        Assert.Null(machine.LoadLinux(kernel, initramfs));
        var digests = new List<string>();
        ulong nextClock = ClockEvery, nextDigest = DigestEvery, tsc = 0;
        while (machine.Icount < end)
        {
            ulong budget = Math.Min(Math.Min(nextClock, nextDigest), end) - machine.Icount;
            if (registers is not null)
            {
                budget = Math.Min(budget, (ulong)random!.NextInt64(1, 8000));
            }
            else if (random is not null && random.Next(3) == 0)
            {
                budget = Math.Min(budget, (ulong)random.NextInt64(1, 1L << random.Next(1, 20)));
            }
            if (random is not null && random.Next(registers is null ? 200 : 20_000) == 0)
            {
                machine.Vcpu!.DropCaches();
            }
            MachineExit exit = machine.Run(budget);
            registers?.Add(HashOfCpu(machine.Vcpu!));
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

    private static ulong HashOfCpu(Vcpu vcpu)
    {
        Span<byte> state = stackalloc byte[Vcpu.StateBytes];
        vcpu.SaveState(state);
        return BitConverter.ToUInt64(SHA256.HashData(state));
    }
}
