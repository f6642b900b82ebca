using System.Security.Cryptography;
using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>Programs compute the same bits in the guest as on the host, and see the same faults, signals and threads.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class ProofTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [GuestFact("gcc")]
    public void Program_prints_the_same_in_the_guest_as_on_the_host()
    {
        string[] proofs = ["numbers", "signals", "threads", "memory"];
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, $"ftproof {string.Join(' ', proofs)}");
        Assert.Equal(GuestImage.OnHost(proofs), GuestProcess.Run(image, "256M"));
    }

    [GuestFact("gcc")]
    public void Processes_system_calls_and_pipes_do_as_on_the_host()
    {
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, "ftproof processes");
        Assert.Equal(GuestImage.OnHost("processes"), GuestProcess.Run(image, "256M"));
    }

    [GuestFact("gcc")]
    public void Sixty_four_MiB_packed_unpacked_and_hashed()
    {
        const int Megabytes = 64;
        string data = Path.Combine(folder.Path, "data");
        HostCommand.RunChecked("sh", ["-c", $"'{GuestImage.ProofProgram}' data {Megabytes} > '{data}'"]);
        using FileStream file = File.OpenRead(data);
        string hash = Convert.ToHexStringLower(SHA256.HashData(file));
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, $"""
            ftproof data {Megabytes} > /tmp/data
            sha256sum < /tmp/data
            gzip -c /tmp/data > /tmp/packed
            gunzip -c /tmp/packed | sha256sum
            """);
        Assert.Equal([$"{hash}  -", $"{hash}  -"], GuestProcess.Run(image, "512M"));
    }

    [GuestFact(Variant = GuestImage.Test, Long = true)]
    public void Stress_ng_verifies_the_classes_cpu_cache_and_vm()
    {
        // Left out: uprobe and swap, which need a tracing file system and a disk to swap to. What lacks a feature says so and counts as skipped.
        string image = GuestImage.Write(folder.Path, GuestImage.Test, """
            for class in cpu cpu-cache vm; do
                stress-ng --sequential 1 --class $class --exclude uprobe,swap -t 2s --verify --oomable > /tmp/log 2>&1
                echo $class status $?
                grep -E 'fail:|error:|unsuccessful' /tmp/log
            done
            dmesg | grep -i -E 'call trace|unstable|BUG:|tainted'
            true
            """, withProof: false);
        using GuestProcess guest = GuestProcess.StartFtAkka(GuestProcess.Boot(image, "1G"));
        Assert.True(guest.End(TimeSpan.FromMinutes(30)) == 0, guest.Story());
        Assert.Equal(["cpu status 0", "cpu-cache status 0", "vm status 0"], guest.Output);
    }
}
