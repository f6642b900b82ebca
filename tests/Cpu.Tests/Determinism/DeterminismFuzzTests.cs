using Xunit.Abstractions;

namespace FtAkka.Cpu.Tests.Determinism;

/// <summary>
/// The determinism contract (docs/determinism.md): equal digests at equal icounts, whatever the budgets, block lengths, flushes and
/// snapshots in between, and whatever the host's CPU leaves in flags that are ours to define. Guests page, fault, modify themselves, run REP strings and take interrupts.
/// </summary>
public sealed class DeterminismFuzzTests(ITestOutputHelper output)
{
    private static bool Long => Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";

    [Theory]
    [InlineData(3u, false, false)]
    [InlineData(3u, true, false)]
    [InlineData(0u, true, false)]
    [InlineData(3u, true, true)]
    [InlineData(0u, true, true)]
    public void Interruption_flushes_and_snapshots_leave_no_trace(uint privilege, bool real, bool upper)
    {
        int first = int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SEED"), out int asked) ? asked : 1;
        int seeds = asked != 0 ? 1 : Long ? 400 : 6;
        ulong length = Long ? 1_000_000UL : 120_000UL;
        for (int seed = first; seed < first + seeds; seed++)
        {
            output.WriteLine($"seed {seed}, CPL {privilege}: repeat with FTAKKA_SEED={seed} dotnet test tests/Cpu.Tests --filter {nameof(DeterminismFuzzTests)}");
            List<string> expected = RunReference(seed, privilege, real, upper, length);
            List<string> actual = RunPerturbed(seed, privilege, real, upper, length);
            Assert.Equal(expected, actual);
        }
    }

    /// <summary>Icounts at which the digest is taken, and at which an interrupt is raised: functions of the seed only.</summary>
    private static IEnumerable<(ulong Icount, bool Interrupt)> Schedule(int seed, ulong length)
    {
        var random = new Random(seed ^ 0x5EED);
        for (ulong at = (ulong)random.Next(1, 3000); at < length; at += (ulong)random.Next(1, 3000))
        {
            yield return (at, random.Next(2) == 0);
        }
    }

    private static List<string> RunReference(int seed, uint privilege, bool real, bool upper, ulong length)
    {
        using var guest = new FuzzGuest(seed, privilege, real: real, upper: upper);
        var digests = new List<string>();
        foreach ((ulong icount, bool interrupt) in Schedule(seed, length))
        {
            while (guest.Vcpu.Icount < icount && guest.Vcpu.Run(icount - guest.Vcpu.Icount) == VcpuExitReason.BudgetSpent)
            {
            }
            digests.Add($"{guest.Vcpu.Icount}: {guest.Digest():x16}");
            guest.Vcpu.InterruptLine |= interrupt;
        }
        return digests;
    }

    private static List<string> RunPerturbed(int seed, uint privilege, bool real, bool upper, ulong length)
    {
        var random = new Random(unchecked(seed * 7919));
        ulong flagNoise = (ulong)random.Next(2) * (ulong)random.NextInt64();
        FuzzGuest guest = new(seed, privilege, random.Next(1, 65), real, upper, flagNoise);
        var digests = new List<string>();
        try
        {
            foreach ((ulong icount, bool interrupt) in Schedule(seed, length))
            {
                while (guest.Vcpu.Icount < icount)
                {
                    ulong budget = Math.Min(icount - guest.Vcpu.Icount, (ulong)random.NextInt64(1, 1L << random.Next(1, 12)));
                    if (guest.Vcpu.Run(budget) != VcpuExitReason.BudgetSpent)
                    {
                        break;
                    }
                    switch (random.Next(40))
                    {
                        case 0:
                            guest.Vcpu.DropCaches();
                            break;
                        case 1:
                            guest.Vcpu.Mmu.FlushAll();
                            break;
                        case 2:
                            FuzzGuest moved = new(seed, privilege, random.Next(1, 65), real, upper, flagNoise);
                            guest.CopyTo(moved);
                            guest.Dispose();
                            guest = moved;
                            break;
                        default:
                            break;
                    }
                }
                digests.Add($"{guest.Vcpu.Icount}: {guest.Digest():x16}");
                guest.Vcpu.InterruptLine |= interrupt;
            }
        }
        finally
        {
            guest.Dispose();
        }
        return digests;
    }
}
