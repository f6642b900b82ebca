using FtAkka.DeviceActors.Consoles;
using FtAkka.Nodes;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A VM whose disk is not shared: each node has its own image, and the survivor's is the guest's disk.</summary>
public sealed class SeparateDiskTests
{
    private const string Disk = "journal.raw";
    private const int Records = 400;
    private const int DiskBytes = 1 << 20;
    private const string Journal = "workload=journal records=400 seed=7 pause=5000000";

    private static int LineCount(string text) => text.Count(letter => letter == '\n');

    private static byte[] RecordsOn(string image)
    {
        using var file = new FileStream(image, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] written = new byte[Records * JournalRecord.SizeBytes];
        file.ReadExactly(written);
        return written;
    }

    [Fact]
    public async Task Journal_goes_on_from_the_survivors_own_image_twice_and_is_complete_there()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        foreach (string node in new[] { "A", "B", "C" })
        {
            cluster.MakeOwnDisk(node, Disk, DiskBytes);
            cluster.Start(node);
        }
        await cluster.StartVmAsync("A", Journal, $"{Disk},shared=no");
        var reader = new ConsoleReader();
        ConsoleScrollback onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 20);
        await cluster.ProtectAsync("A", "B");
        string? shown = (await cluster.StatusAsync("A"))!.DiskState;
        Assert.StartsWith("16 of 16 blocks compared, 1 differ", shown, StringComparison.Ordinal);
        int killAt = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= killAt);
        cluster.Kill("A");

        await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        await cluster.ProtectAsync("B", "C");
        ConsoleScrollback onB = await cluster.ConsoleAsync("B");
        killAt = LineCount(reader.Text) + 60;
        await reader.ReadAsync(onB, text => LineCount(text) >= killAt);
        cluster.Kill("B");

        await cluster.UntilAsync("C", line => line.Role is "solo" or "ended", "live");
        await reader.ReadAsync(await cluster.ConsoleAsync("C"), text => LineCount(text) >= Records + 1);
        await cluster.UntilAsync("C", line => line.Role == "ended", "ended");

        Assert.Equal(TinyGuest.JournalText(7, Records), reader.Text);
        Assert.Equal(JournalRecord.Expected(7, Records), RecordsOn(cluster.OwnDisk("C", Disk)));
        Assert.NotEqual(RecordsOn(cluster.OwnDisk("A", Disk)), RecordsOn(cluster.OwnDisk("C", Disk)));
    }

    [Fact]
    public async Task Both_images_are_equal_when_the_guest_has_switched_itself_off()
    {
        await using var cluster = new Cluster(["A", "B"]);
        foreach (string node in new[] { "A", "B" })
        {
            cluster.MakeOwnDisk(node, Disk, DiskBytes);
            cluster.Start(node);
        }
        // What stood on the backup's image before is gone, zeroes included.
        File.WriteAllBytes(cluster.OwnDisk("B", Disk), [.. Enumerable.Repeat((byte)0xA5, DiskBytes)]);
        await cluster.StartVmAsync("A", Journal, $"{Disk},shared=no");
        await cluster.ProtectAsync("A", "B");
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        await cluster.UntilAsync("B", line => line.Role == "ended", "ended");

        Assert.Equal(JournalRecord.Expected(7, Records), RecordsOn(cluster.OwnDisk("A", Disk)));
        Assert.Equal(File.ReadAllBytes(cluster.OwnDisk("A", Disk)), File.ReadAllBytes(cluster.OwnDisk("B", Disk)));
        Assert.False(File.Exists(cluster.OwnDisk("B", Disk) + ".incomplete"));
    }
}
