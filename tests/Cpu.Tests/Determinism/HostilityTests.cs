using Xunit.Abstractions;

namespace FtAkka.Cpu.Tests.Determinism;

/// <summary>Random bytes and mutated code as guest code: no host signal, no exception out of Run, no run without end, bounded memory.</summary>
public sealed class HostilityTests(ITestOutputHelper output)
{
    private static bool Long => Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";

    [Theory]
    [InlineData(3u, false)]
    [InlineData(3u, true)]
    [InlineData(0u, false)]
    [InlineData(0u, true)]
    public void Hostile_code_never_escapes(uint privilege, bool real)
    {
        ulong goal = Long ? 250_000_000UL : 2_500_000UL;
        int seed = int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SEED"), out int asked) ? asked : Environment.TickCount & 0xFFFFFF;
        output.WriteLine($"first seed {seed}: repeat with FTAKKA_SEED={seed} dotnet test tests/Cpu.Tests --filter {nameof(HostilityTests)}");
        ulong executed = 0;
        int guests = 0, shutdowns = 0, halts = 0;
        while (executed < goal && guests < (Long ? 200_000 : 2_000))
        {
            using var guest = new FuzzGuest(seed++, privilege, real: real);
            guests++;
            for (int slice = 0; slice < 20; slice++)
            {
                VcpuExitReason exit = guest.Vcpu.Run(10_000);
                if (exit == VcpuExitReason.Halted)
                {
                    halts++;
                    guest.Vcpu.InterruptLine = true;
                    if (guest.Vcpu.Run(10) == VcpuExitReason.Halted)
                    {
                        break;
                    }
                }
                if (exit == VcpuExitReason.Shutdown)
                {
                    shutdowns++;
                    break;
                }
            }
            executed += guest.Vcpu.Icount;
        }
        output.WriteLine($"{executed} instructions, {guests} guests, {shutdowns} shutdowns, {halts} halts");
        Assert.True(executed > 0);
        Assert.True(privilege == 0 || executed >= goal);
    }
}
