using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.Labels;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A VM whose disk is not shared: each node has its own image, and the survivor's is the guest's disk.</summary>
public sealed class SeparateDiskTests
{
    private const string Disk = "journal.raw";
    /// <summary>So many that the guest does not end before a busy host has copied it, twice.</summary>
    private const int Records = 1500;
    private const int DiskBytes = 1 << 20;
    private const string Journal = "workload=journal records=1500 seed=7 pause=5000000";

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
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 20);
        await cluster.ProtectAsync("A", "B");
        string? shown = (await cluster.StatusAsync("A"))!.DiskState;
        // The guest goes on writing meanwhile, by one block or by some; what it never writes is equal.
        Assert.Matches("^16 of 16 blocks compared, ([1-9]|1[0-2]) differ", shown);
        int killAt = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= killAt);
        cluster.Kill("A");

        await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        await cluster.ProtectAsync("B", "C");
        VmConsole onB = await cluster.ConsoleAsync("B");
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

    [Fact]
    public async Task Copy_is_refused_without_an_image_and_the_guest_goes_on_alone()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.MakeOwnDisk("A", Disk, DiskBytes);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", Journal, $"{Disk},shared=no");
        await cluster.DoAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B"));
        VmConsole onA = await cluster.ConsoleAsync("A");
        var reader = new ConsoleReader();
        await reader.ReadAsync(onA, text => LineCount(text) >= Records + 1);

        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        Assert.Null(await cluster.StatusAsync("B"));
        Assert.Equal(TinyGuest.JournalText(7, Records), reader.Text);
    }

    [Fact]
    public async Task Vm_is_not_started_from_a_copy_that_may_be_old()
    {
        await using var cluster = new Cluster(["A", "B"]);
        foreach (string node in new[] { "A", "B" })
        {
            cluster.MakeOwnDisk(node, Disk, DiskBytes);
            cluster.Start(node);
        }
        await cluster.StartVmAsync("A", "workload=journal records=3 seed=7", $"{Disk},shared=no");
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        NodeProtocol.Start start = VmStart.Read(cluster.WriteVm("workload=journal records=3 seed=7", $"{Disk},shared=no"), null, takeOver: false,
            Path.GetDirectoryName(cluster.OwnDisk("B", Disk))!);

        var refused = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("B", start));
        Assert.Contains("ran on A last", refused.Why, StringComparison.Ordinal);
        Assert.Contains("--accept-old-disk", refused.Why, StringComparison.Ordinal);

        // A start is not told to overwrite a disk by being told to take a VM over.
        Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("B", start with { TakeOver = true }));
        await cluster.DoAsync("B", start with { AcceptOldDisk = true });
    }
}

/// <summary>What a host says of its copies of disks that it cannot use.</summary>
public sealed class OwnDiskRefusalTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("ftakka-disks-");

    private string Image => Path.Combine(folder.FullName, "data.raw");

    private static VmProfile Profile => new()
    {
        Name = "vm",
        CpuModel = "ftvm64-v1",
        Disks = [new VmProfile.Disk("data.raw", ReadOnly: false, CapacitySectors: 2048, Separate: true)],
    };

    public void Dispose() => folder.Delete(recursive: true);

    private void Make(long bytes)
    {
        using FileStream image = File.Create(Image);
        image.SetLength(bytes);
    }

    private HostDevices Devices => new(folder.FullName, new AllowedPaths([]), new DiskLabels("B", "cluster", folder.FullName, new FileArbiter(folder.FullName)));

    private string Refusal() => Assert.Throws<IOException>(() => Devices.OpenOwnDisks(Profile, 1)).Message;

    [Fact]
    public void Missing_image_is_named_with_the_command_that_makes_it() =>
        Assert.Contains($"'truncate -s 1048576 {Image}'", Refusal(), StringComparison.Ordinal);

    [Fact]
    public void Image_of_another_size_is_named_with_both_sizes()
    {
        Make(4096);
        Assert.StartsWith($"{Image} has 4096 bytes, and the disk 1048576", Refusal(), StringComparison.Ordinal);
        Assert.False(File.Exists(Image + ".incomplete"));
    }

    [Fact]
    public void Image_that_another_replica_on_this_host_uses_is_refused()
    {
        Make(1 << 20);
        using RawDiskImage primary = RawDiskImage.Open(new RawDiskOptions(Image) { Exclusive = true });
        Assert.Contains("another process", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Copy_does_not_overwrite_what_is_newer_than_its_source()
    {
        Make(1 << 20);
        foreach (VmProfile.Disk disk in Profile.Disks)
        {
            new DiskLabels("B", "cluster", folder.FullName, new FileArbiter(folder.FullName)).NoteOwn("vm", Image, disk.Image, generation: 3, copy: false);
        }
        Assert.Throws<IOException>(() => Devices.OpenOwnDisks(Profile, 2));
        Assert.False(File.Exists(Image + ".incomplete"));
    }

    [Fact]
    public void Half_of_a_copy_is_not_started_from_until_it_is_complete()
    {
        Make(1 << 20);
        HostDevices devices = Devices;
        File.WriteAllText(Image + ".incomplete", "");
        IOException refused = Assert.Throws<IOException>(() => devices.Open(Profile, 1, Fence.None, new ConsoleScrollback()));
        Assert.Contains("half of a copy", refused.Message, StringComparison.Ordinal);

        devices.OwnDisksComplete(Profile, 1);

        Assert.False(File.Exists(Image + ".incomplete"));
    }
}
