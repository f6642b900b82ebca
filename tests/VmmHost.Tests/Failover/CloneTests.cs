using FtAkka.DeviceActors.Consoles;
using FtAkka.Nodes;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A copy that is given up, or whose other side dies, at any moment leaves the guest as it was; a new backup knows the console's past.</summary>
public sealed class CloneTests
{
    private const int Lines = 100_000;
    private const int Attempts = 5;

    /// <summary>A rate at which the copy of the little guest takes seconds, so that its phases can be met.</summary>
    private const string Slow = "ftakka.ft { clone-rate = 50000b, hand-over-timeout = 2s }";

    private static int LineCount(string text) => text.Count(letter => letter == '\n');

    public static TheoryData<string, string> Moments()
    {
        var data = new TheoryData<string, string>();
        foreach (string phase in new[] { "offer", "start", "middle", "committed" })
        {
            data.Add(phase, "cancel");
            data.Add(phase, "backup dies");
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task Copy_that_fails_leaves_the_primary_unharmed_and_the_next_one_succeeds(string phase, string fault)
    {
        ulong expected = phase == "committed" ? 2ul : 1ul;
        ulong generation = 0;
        // A test that is kept waiting comes to the fault when the copy is through already: then once more.
        for (int attempt = 0; attempt < Attempts && generation != expected; attempt++)
        {
            generation = await FailCopyAsync(phase, fault);
        }
        Assert.Equal(expected, generation);
    }

    /// <summary>A copy that meets the fault in this phase, and another one.</summary>
    /// <returns>The generation after the first: it is a new one only if the backup had been complete.</returns>
    private static async Task<ulong> FailCopyAsync(string phase, string fault)
    {
        await using var cluster = new Cluster(["A", "B", "C"], extra: Slow);
        foreach (string name in new[] { "A", "B", "C" })
        {
            cluster.Start(name);
        }
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Lines} period=3000000"), null, takeOver: false));
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 2);
        await cluster.DoAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B"));
        await (phase switch
        {
            "offer" => Task.CompletedTask,
            "start" => cluster.UntilAsync("A", line => line.CopyBytes > 0, "copying"),
            "middle" => cluster.UntilAsync("A", line => line.CopyBytes > 60_000, "half copied"),
            _ => cluster.UntilAsync("A", line => line.Protected, "protected"),
        });
        if (fault == "cancel")
        {
            await cluster.DoAsync("A", new NodeProtocol.Unprotect(Cluster.Vm));
        }
        else
        {
            cluster.Kill("B");
            if (phase != "committed")
            {
                await cluster.DoAsync("A", new NodeProtocol.Unprotect(Cluster.Vm));
            }
        }

        ReplicaStatusLine alone = await cluster.UntilAsync("A", line => line.Role == "solo", "alone");
        int at = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= at);
        await cluster.ProtectAsync("A", "C");
        at = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= at);
        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Lines), StringComparison.Ordinal);
        if (fault == "cancel")
        {
            await cluster.UntilAsync("B", line => line.Role == "ended", "ended");
        }
        return alone.Generation;
    }

    [Fact]
    public async Task New_backup_has_the_console_since_power_on()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Lines} period=3000000"), null, takeOver: false));
        var early = new ConsoleReader();
        await early.ReadAsync(await cluster.ConsoleAsync("A"), text => LineCount(text) >= 50);
        await cluster.ProtectAsync("A", "B");
        await early.ReadAsync(await cluster.ConsoleAsync("A"), text => LineCount(text) >= 80);
        cluster.Kill("A");
        await cluster.UntilAsync("B", line => line.Failover is not null, "live");
        var late = new ConsoleReader();
        await late.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= 120);
        Assert.StartsWith(late.Text, TinyGuest.CounterText(Lines), StringComparison.Ordinal);
    }
}
