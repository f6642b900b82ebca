using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A protected guest that reboots or crashes: its backup does the same, and whoever goes live goes on.</summary>
public sealed class RestartTests
{
    /// <summary>More boots than any of these tests waits for.</summary>
    private const int Endless = 250;

    /// <summary>A third of a second of the guest's clock.</summary>
    private const int Period = 333_000_000;

    private static int LineCount(string text) => text.Count(letter => letter == '\n');

    [Fact]
    public async Task Guest_reboots_under_protection_and_behind_each_of_two_failovers()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", $"workload=reboot count={Endless} period={Period}");
        var reader = new ConsoleReader();
        string[] nodes = ["A", "B", "C"];
        for (int i = 0; i < nodes.Length; i++)
        {
            if (i < nodes.Length - 1)
            {
                await cluster.ProtectAsync(nodes[i], nodes[i + 1]);
            }
            // Boots before the failover: the backup has made them from the log.
            int boots = LineCount(reader.Text) + 4;
            await reader.ReadAsync(await cluster.ConsoleAsync(nodes[i]), text => LineCount(text) >= boots);
            ReplicaStatusLine status = await cluster.UntilAsync(nodes[i], line => i == nodes.Length - 1 || line.Protected, "still protected");
            Assert.Equal((ulong)i + 1, status.Generation);
            if (i < nodes.Length - 1)
            {
                cluster.Kill(nodes[i]);
                await cluster.UntilAsync(nodes[i + 1], line => line.Role is "solo" or "ended", "live");
            }
            if (i == 0)
            {
                cluster.Start("C");
            }
        }
        Assert.StartsWith(reader.Text, TinyGuest.RebootText(Endless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Guest_that_crashes_in_a_loop_is_held_on_both_sides_and_an_operator_starts_it_again_behind_a_failover()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", $"workload=reboot how=1 count={Endless} period={Period}", settings: "on-crash = restart\n");
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await cluster.ProtectAsync("A", "B");
        await reader.ReadAsync(onA, text => LineCount(text) >= GuestMachine.CrashesInRowMax);
        // Longer than a boot takes: another would be seen.
        await Task.Delay(TimeSpan.FromSeconds(2));
        cluster.Kill("A");
        await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        VmConsole onB = await cluster.ConsoleAsync("B");
        Task more = reader.ReadAsync(onB, text => LineCount(text) >= GuestMachine.CrashesInRowMax + 2);
        Assert.NotSame(more, await Task.WhenAny(more, Task.Delay(TimeSpan.FromSeconds(2))));
        Assert.Equal(TinyGuest.RebootText(GuestMachine.CrashesInRowMax), reader.Text);

        await cluster.DoAsync("B", new NodeProtocol.Operate(Cluster.Vm, ControlOperation.Reset));
        await more;
        Assert.StartsWith(reader.Text, TinyGuest.RebootText(Endless), StringComparison.Ordinal);
    }
}
