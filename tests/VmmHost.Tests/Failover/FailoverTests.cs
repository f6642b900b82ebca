using System.Globalization;
using FtAkka.DeviceActors.Consoles;
using FtAkka.TinyGuests;
using FtAkka.Nodes;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A guest survives the death of its host: what clients saw goes on without gap or repetition, and the disk has what was promised.</summary>
public sealed class FailoverTests
{
    /// <summary>Failovers in the loop; FTAKKA_FAILOVERS asks for more.</summary>
    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_FAILOVERS"), CultureInfo.InvariantCulture, out int asked) ? asked : 5;

    /// <summary>Lines of a counter that does not end before a busy host has come to its failover.</summary>
    private const int Endless = 100_000;

    private static int LineCount(string text) => text.Count(letter => letter == '\n');

    [Fact]
    public async Task Counter_goes_on_without_gap_or_repetition_wherever_the_host_dies()
    {
        var random = new Random(1);
        for (int round = 0; round < Rounds; round++)
        {
            await FailOverAsync(random, round);
        }
    }

    private static async Task FailOverAsync(Random random, int round)
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Endless} period=3000000"), null, takeOver: false));
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 2);
        await cluster.ProtectAsync("A", "B");
        int killAt = LineCount(reader.Text) + random.Next(5, 150);
        await reader.ReadAsync(onA, text => LineCount(text) >= killAt);
        cluster.Kill("A");

        ReplicaStatusLine live = await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        VmConsole onB = await cluster.ConsoleAsync("B");
        int goesOnTo = LineCount(reader.Text) + 300;
        await reader.ReadAsync(onB, text => LineCount(text) >= goesOnTo);

        string counted = TinyGuest.CounterText(Endless)[..reader.Text.Length];
        Assert.True(counted == reader.Text, $"round {round}: {FirstDifference(counted, reader.Text)}");
        Assert.Equal(2ul, live.Generation);
        Assert.Equal("B", cluster.Arbiter.Newest(Cluster.Vm)!.Node);
    }

    [Fact]
    public async Task Journal_has_every_record_that_was_printed_and_goes_on_on_the_other_host()
    {
        const int records = 1500;
        await using var cluster = new Cluster(["A", "B"]);
        string disk = cluster.Path("disk.raw");
        File.WriteAllBytes(disk, new byte[(records + 1) * JournalRecord.SizeBytes]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=journal records={records} seed=7 pause=5000000", disk), null, takeOver: false));
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 2);
        await cluster.ProtectAsync("A", "B");
        int killAt = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= killAt);
        cluster.Kill("A");

        await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        await reader.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= records + 1);

        Assert.Equal(TinyGuest.JournalText(7, records), reader.Text);
        using var image = new FileStream(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] written = new byte[records * JournalRecord.SizeBytes];
        image.ReadExactly(written);
        Assert.Equal(JournalRecord.Expected(7, records), written);
    }

    [Fact]
    public async Task After_a_failover_the_guest_is_protected_by_a_third_host_and_survives_that_too()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        foreach (string name in new[] { "A", "B", "C" })
        {
            cluster.Start(name);
        }
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Endless} period=4000000"), "B", takeOver: false));
        await cluster.UntilAsync("B", line => line.Role == "backup", "a backup");
        var reader = new ConsoleReader();
        await reader.ReadAsync(await cluster.ConsoleAsync("A"), text => LineCount(text) >= 10);
        cluster.Kill("A");
        await cluster.UntilAsync("B", line => line.Role == "solo", "live");
        VmConsole onB = await cluster.ConsoleAsync("B");
        await reader.ReadAsync(onB, text => LineCount(text) >= 50);
        await cluster.ProtectAsync("B", "C");
        // A new backup has the console's output from its copy on: what is older, a client must have read before.
        int known = reader.Text.Length;
        await reader.ReadAsync(onB, text => text.Length > known);
        cluster.Kill("B");
        await cluster.UntilAsync("C", line => line.Role is "solo" or "ended", "live");
        int goesOnTo = LineCount(reader.Text) + 300;
        await reader.ReadAsync(await cluster.ConsoleAsync("C"), text => LineCount(text) >= goesOnTo);

        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Endless), StringComparison.Ordinal);
        Assert.Equal(3ul, cluster.Arbiter.Newest(Cluster.Vm)!.Generation);
    }

    private static string FirstDifference(string expected, string actual)
    {
        int at = expected.Zip(actual).TakeWhile(pair => pair.First == pair.Second).Count();
        return $"differs at byte {at} of {expected.Length}: {actual[Math.Max(0, at - 40)..Math.Min(actual.Length, at + 40)]}";
    }
}
