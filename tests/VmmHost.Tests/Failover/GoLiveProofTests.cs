using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.Labels;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>What a host finds when it looks whether it could go live with a VM.</summary>
public sealed class GoLiveProofTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-proofs-").FullName;

    public GoLiveProofTests()
    {
        Directory.CreateDirectory(Shared);
        File.WriteAllBytes(Image, new byte[1 << 20]);
    }

    private string Image => Path.Combine(folder, "disk.raw");

    private string Shared => Path.Combine(folder, "shared");

    private VmProfile Profile => new() { Name = "vm", CpuModel = "ftvm64-v1", MemoryBytes = 16 << 20, Disks = [new VmProfile.Disk(Image, ReadOnly: false, CapacitySectors: 2048)] };

    private HostDevices Devices => new(folder, new AllowedPaths([Image]), new DiskLabels("B", "cluster", Shared, new FileArbiter(Shared)));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private async Task<(VmProfile Profile, string? Refusal)> StartAsync(VmProfile? profile = null)
    {
        var answered = new TaskCompletionSource<(VmProfile, string?)>(TaskCreationOptions.RunContinuationsAsynchronously);
        Devices.ProveStart(profile ?? Profile, (named, refusal) => answered.TrySetResult((named, refusal)));
        return await answered.Task.WaitAsync(Patience);
    }

    private async Task<string?> ProveAsync(VmProfile profile)
    {
        var answered = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Devices.ProveBackup(profile, refusal => answered.TrySetResult(refusal));
        return await answered.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Disk_is_proved_again_and_again_and_what_becomes_of_it_is_said()
    {
        (VmProfile vm, string? refusal) = await StartAsync();
        Assert.Null(refusal);
        Assert.Null(await ProveAsync(vm));
        Assert.Contains("has 4096 bytes", await RefusalAfterAsync(() => File.WriteAllBytes(Image, new byte[4096])), StringComparison.Ordinal);
        Assert.Contains("is empty", await RefusalAfterAsync(() => File.WriteAllBytes(Image, [])), StringComparison.Ordinal);
        Assert.Contains("disk.raw", await RefusalAfterAsync(() => File.Delete(Image)), StringComparison.Ordinal);
        // Another file of the same name and size, as in the folder below a mount that is gone.
        Assert.Contains("does not say whose it is", await RefusalAfterAsync(() =>
        {
            File.WriteAllBytes(Image, new byte[1 << 20]);
            File.Delete(Image + DiskLabels.Suffix);
        }), StringComparison.Ordinal);

        async Task<string> RefusalAfterAsync(Action act)
        {
            act();
            return Assert.IsType<string>(await ProveAsync(vm));
        }
    }

    [Fact]
    public async Task Arbiters_folder_is_proved_too()
    {
        (VmProfile vm, _) = await StartAsync();
        Directory.Delete(Shared, recursive: true);
        Assert.NotNull(await ProveAsync(vm));
    }

    [Fact]
    public async Task Network_that_is_not_there_is_said_and_so_is_a_path_that_is_not_allowed()
    {
        (VmProfile vm, _) = await StartAsync();
        Assert.Contains("ip tuntap add", await ProveAsync(vm with { Nics = [new VmProfile.Nic(NicTarget.Tap, "ftnone0", Listen: false, "02f700000001", 1500)] }), StringComparison.Ordinal);
        Assert.Contains("allowed-paths", await ProveAsync(vm with { Nics = [new VmProfile.Nic(NicTarget.Unix, Path.Combine(folder, "net.sock"), Listen: false, "02f700000001", 1500)] }), StringComparison.Ordinal);
        Assert.Contains("allowed-paths", await ProveAsync(vm with { Disks = [vm.Disks[0] with { Path = Path.Combine(folder, "other.raw") }] }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Disk_that_is_only_read_is_many_VMs()
    {
        VmProfile reader = Profile with { Disks = [Profile.Disks[0] with { ReadOnly = true }] };
        Assert.Null((await StartAsync(reader)).Refusal);
        Assert.Null((await StartAsync(reader with { Name = "other" })).Refusal);
        Assert.False(File.Exists(Image + DiskLabels.Suffix));
        Assert.Null(await ProveAsync(reader));
    }

    [Fact]
    public async Task Start_whose_disk_is_missing_is_refused_and_leaves_no_label()
    {
        File.Delete(Image);
        Assert.Contains("disk.raw", (await StartAsync()).Refusal, StringComparison.Ordinal);
        Assert.False(File.Exists(Image + DiskLabels.Suffix));
    }

    [Fact]
    public async Task Storage_that_hangs_is_no_proof_and_is_not_waited_for()
    {
        var proofs = new Proofs(TimeSpan.FromMilliseconds(50));
        using var goesOn = new ManualResetEventSlim();
        var answers = new List<Task<string?>>();
        for (int i = 0; i <= Proofs.WaitingMax; i++)
        {
            var answered = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
            proofs.Begin(goesOn.Wait, refusal => answered.SetResult(refusal));
            answers.Add(answered.Task);
        }
        string?[] refusals = await Task.WhenAll(answers).WaitAsync(Patience);
        goesOn.Set();
        Assert.All(refusals[..^1], refusal => Assert.Contains("does their storage answer", refusal, StringComparison.Ordinal));
        Assert.StartsWith($"{Proofs.WaitingMax} looks", refusals[^1], StringComparison.Ordinal);
    }
}
