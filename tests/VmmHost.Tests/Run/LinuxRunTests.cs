using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Run;

/// <summary><c>ftakka run</c> with the stock Debian kernel: it boots, does what the host would do, and ends as it should.</summary>
public sealed class LinuxRunTests : IDisposable
{
    private const int DataBytes = 64 << 20;
    private const int DiskBytes = 96 << 20;

    /// <summary>What the kernel says at warning level and above on this platform, and why it may.</summary>
    private static readonly string[] ExpectedWarnings =
    [
        "PCI: Fatal: No config space access function found", // there is no PCI bus; devices are virtio-mmio
        "PCI: System does not support PCI",                  // the same
        "supports timestamps until 2038",                    // about the small inodes that busybox's mke2fs makes
    ];

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [LinuxGuestFact]
    public async Task Guest_computes_and_stores_what_the_host_would()
    {
        byte[] data = CompressibleData();
        string source = FileOf("source.img", data), disk = FileOf("disk.img", new byte[DiskBytes]);
        GuestRun run = await LinuxGuest.RunAsync(
            folder,
            """
            echo BEGIN system; uname -sm; grep -c ^processor /proc/cpuinfo; grep -m1 'model name' /proc/cpuinfo; echo END system
            echo BEGIN free; free -m | grep Mem: | awk '{print $2}'; echo END free
            echo BEGIN sums; sha256sum < /dev/vdb; gzip -1 -c < /dev/vdb | gunzip -c | sha256sum; echo END sums
            mke2fs /dev/vda > /dev/null && mkdir -p /mnt && mount -t ext4 /dev/vda /mnt
            cp /dev/vdb /mnt/data && umount /mnt && mount -t ext4 /dev/vda /mnt
            echo BEGIN copy; sha256sum < /mnt/data; echo END copy
            umount /mnt
            echo BEGIN clock; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; echo END clock
            echo BEGIN warnings; dmesg -r | grep -E '^<[0-4]>'; echo END warnings
            echo BEGIN traces; dmesg | grep -E 'Call Trace|WARNING:|BUG:|unstable|clocksource: timekeeping'; echo END traces
            """,
            LinuxGuest.Fetched().Vmlinux,
            "--disk", disk, "--disk", $"{source},readonly");

        Assert.Equal((ExitCode.Ok, ""), (run.ExitCode, run.Errors));
        Assert.Equal(["Linux x86_64", "1", "model name\t: FtAkka Virtual CPU v1"], run.Section("system"));
        Assert.InRange(int.Parse(run.Section("free")[0], CultureInfo.InvariantCulture), 300, 384);
        string sum = $"{Convert.ToHexStringLower(SHA256.HashData(data))}  -";
        Assert.Equal([sum, sum], run.Section("sums"));
        Assert.Equal([sum], run.Section("copy"));
        Assert.Equal(["tsc"], run.Section("clock"));
        Assert.Empty(run.Section("traces"));
        Assert.All(run.Section("warnings"), line => Assert.Contains(ExpectedWarnings, known => line.Contains(known, StringComparison.Ordinal)));
        AssertReadable(disk, data);
    }

    [LinuxGuestFact]
    public async Task Packed_kernel_boots_and_power_off_is_success_whatever_the_command_returned()
    {
        GuestRun run = await LinuxGuest.RunAsync(folder, "echo from the guest; exit 7", LinuxGuest.Fetched().BzImage);
        Assert.Equal((ExitCode.Ok, ""), (run.ExitCode, run.Errors));
        Assert.Contains("from the guest\nFTAKKA-EXIT 7\n", run.Text, StringComparison.Ordinal);
    }

    [LinuxGuestFact]
    public async Task Panic_and_reboot_end_the_run_with_their_own_status_and_a_reason()
    {
        GuestRun panic = await LinuxGuest.RunAsync(folder, "echo c > /proc/sysrq-trigger");
        Assert.Equal(ExitCode.GuestCrashed, panic.ExitCode);
        Assert.Contains("Kernel panic", panic.Text, StringComparison.Ordinal);
        Assert.Contains("the guest's kernel panicked", panic.Errors, StringComparison.Ordinal);

        GuestRun reboot = await LinuxGuest.RunAsync(folder, "reboot -f", null, "--on-reboot", "stop");
        Assert.Equal(ExitCode.GuestCrashed, reboot.ExitCode);
        Assert.Contains("the guest rebooted", reboot.Errors, StringComparison.Ordinal);

        // A reboot by triple fault cannot be told from a crash.
        GuestRun fault = await LinuxGuest.RunAsync(folder, "echo triple > /sys/kernel/reboot/type; reboot -f");
        Assert.Equal(ExitCode.GuestCrashed, fault.ExitCode);
        Assert.Contains("triple fault", fault.Errors, StringComparison.Ordinal);
    }

    [LinuxGuestFact]
    public async Task Guest_reboots_three_times_and_is_a_new_boot_each_time()
    {
        GuestRun run = await LinuxGuest.RunAsync(folder, CountsBoots("reboot -f"), null, "--disk", FileOf("boots.img", new byte[1 << 20]));
        Assert.Equal(ExitCode.Ok, run.ExitCode);
        Assert.Equal(["BOOT 0", "BOOT 1", "BOOT 2", "BOOT 3"], run.Text.Split('\n').Where(line => line.StartsWith("BOOT ", StringComparison.Ordinal)));
        Assert.Equal(4, run.Text.Split("Linux version").Length - 1);
        Assert.Equal(3, run.Errors.Split("the guest rebooted").Length - 1);
    }

    [LinuxGuestFact]
    public async Task Panic_restarts_a_guest_that_is_to_be_restarted_after_a_crash()
    {
        GuestRun run = await LinuxGuest.RunAsync(
            folder, CountsBoots("echo c > /proc/sysrq-trigger"), null, "--on-crash", "restart", "--on-reboot", "stop", "--disk", FileOf("boots.img", new byte[1 << 20]));
        Assert.Equal(ExitCode.Ok, run.ExitCode);
        Assert.Contains("BOOT 3", run.Text, StringComparison.Ordinal);
        Assert.Equal(3, run.Errors.Split("the guest's kernel panicked").Length - 1);
    }

    /// <summary>Ends three boots in a way, and the fourth by switching off; the disk knows which it is.</summary>
    private static string CountsBoots(string end) =>
        $"read boot < /dev/vda; boot=${{boot:-0}}; echo BOOT $boot; [ $boot -ge 3 ] && exit 0; echo $((boot + 1)) > /dev/vda; sync; {end}; sleep 60";

    [LinuxGuestFact]
    public async Task Two_guests_in_one_process_do_not_disturb_each_other()
    {
        string[] disks = [FileOf("a.img", CompressibleData()[..(1 << 20)]), FileOf("b.img", new byte[1 << 20])];
        GuestRun[] runs = await Task.WhenAll(disks.Select((disk, i) => LinuxGuest.RunAsync(
            folder,
            $"echo BEGIN sum; sha256sum < /dev/vda; echo END sum; echo guest{i} > /dev/vda; for n in 1 2 3 4 5 6 7 8 9; do head -c 1000000 /dev/zero | sha256sum; done",
            null,
            "--disk", disk)));
        Assert.All(runs, run => Assert.Equal((ExitCode.Ok, ""), (run.ExitCode, run.Errors)));
        Assert.Equal($"{Convert.ToHexStringLower(SHA256.HashData(CompressibleData().AsSpan(0, 1 << 20)))}  -", runs[0].Section("sum")[0]);
        Assert.Equal($"{Convert.ToHexStringLower(SHA256.HashData(new byte[1 << 20]))}  -", runs[1].Section("sum")[0]);
        Assert.StartsWith("guest0\n", await File.ReadAllTextAsync(disks[0]), StringComparison.Ordinal);
        Assert.StartsWith("guest1\n", await File.ReadAllTextAsync(disks[1]), StringComparison.Ordinal);
    }

    [LinuxGuestFact]
    public async Task Run_ends_at_the_icount_asked_for_with_statistics_and_digests()
    {
        string stats = Path.Combine(folder.Path, "stats.json");
        GuestRun run = await LinuxGuest.RunAsync(
            folder, "true", null, "--max-icount", "50000000", "--digest-every", "20000000", "--rng-seed", "5", "--stats", stats);
        Assert.Equal(ExitCode.Ok, run.ExitCode);
        Assert.Contains("icount 50000000", run.Errors, StringComparison.Ordinal);
        using JsonDocument document = JsonDocument.Parse(await File.ReadAllTextAsync(stats));
        JsonElement root = document.RootElement;
        Assert.Equal(50_000_000UL, root.GetProperty("icount").GetUInt64());
        Assert.Equal(("icountMax", "0x5"), (root.GetProperty("end").GetString(), root.GetProperty("rngSeed").GetString()));
        Assert.Equal(2, root.GetProperty("digests").GetArrayLength());
        Assert.StartsWith("icount 20000000 cpu ", root.GetProperty("digests")[0].GetString(), StringComparison.Ordinal);
        Assert.True(root.GetProperty("mips").GetDouble() > 1);
        Assert.True(root.GetProperty("cpu").GetProperty("blocksTranslated").GetUInt64() > 1000);
    }

    [LinuxGuestFact(isLong: true)]
    public async Task Five_guests_at_once_compute_the_same()
    {
        GuestRun[] runs = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => LinuxGuest.RunAsync(
            folder, "echo BEGIN sum; head -c 67108864 /dev/zero | gzip -c | gunzip -c | sha256sum; echo END sum")));
        Assert.All(runs, run => Assert.Equal($"{Convert.ToHexStringLower(SHA256.HashData(new byte[DataBytes]))}  -", run.Section("sum")[0]));
    }

    /// <summary>Seeded bytes of sixteen values: gzip has something to do and something to gain.</summary>
    private static byte[] CompressibleData()
    {
        byte[] data = new byte[DataBytes];
        new Random(20).NextBytes(data);
        for (int i = 0; i < data.Length; i++)
        {
            data[i] &= 0x0F;
        }
        return data;
    }

    private string FileOf(string name, byte[] content)
    {
        string path = Path.Combine(folder.Path, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    /// <summary>The image is a file system with the file in it; with the host's tools, a clean one from which the file comes back.</summary>
    private void AssertReadable(string disk, byte[] data)
    {
        byte[] superblock = File.ReadAllBytes(disk)[1024..2048];
        Assert.Equal(0xEF53, BinaryPrimitives.ReadUInt16LittleEndian(superblock.AsSpan(0x38)));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(superblock.AsSpan(0x3A))); // unmounted cleanly
        if (HostProgram.Find("e2fsck") is { } check)
        {
            using Process checking = Process.Start(new ProcessStartInfo(check, ["-fn", disk]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string report = checking.StandardOutput.ReadToEnd();
            checking.WaitForExit();
            Assert.True(checking.ExitCode == 0, report);
        }
        if (HostProgram.Find("debugfs") is { } debug)
        {
            string copy = Path.Combine(folder.Path, "copy");
            using Process reading = Process.Start(new ProcessStartInfo(debug, ["-R", $"dump /data {copy}", disk]) { RedirectStandardError = true })!;
            reading.WaitForExit();
            Assert.True(data.AsSpan().SequenceEqual(File.ReadAllBytes(copy)), "the file that the host reads from the image differs");
        }
    }
}
