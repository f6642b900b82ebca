using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Event;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Cpu.Memory;
using FtAkka.KnownFailures;
using FtAkka.Nodes;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Failover.RealProcesses;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>What a node promises of a VM it keeps, and what it cannot keep it refuses.</summary>
public sealed class PromiseTests
{
    private const string Console = "workload=console";
    private const string Endless = "workload=counter count=100000 period=3000000";
    private const int DiskBytes = 1 << 20;

    /// <summary>For what goes wrong today to happen on a host that is many times slower. What is seen ends the wait.</summary>
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(15);

    private static async Task<Cluster> WithDiskAsync(string path)
    {
        var cluster = new Cluster(["A", "B"]);
        File.WriteAllBytes(cluster.Path(path), new byte[DiskBytes]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", Console, cluster.Path(path));
        // It counts as live a moment before its devices are open.
        await cluster.UntilAsync("A", line => line is { Role: "solo", Icount: > 0 }, "live, its disk open");
        return cluster;
    }

    /// <summary>Whether something becomes so within a time.</summary>
    private static async Task<bool> BecomesAsync(Func<Task<bool>> reached, TimeSpan limit)
    {
        DateTime end = DateTime.UtcNow + limit;
        while (!await reached())
        {
            if (DateTime.UtcNow > end)
            {
                return false;
            }
            await Task.Delay(20);
        }
        return true;
    }

    [Fact]
    public async Task Backup_whose_host_cannot_open_the_disk_is_refused()
    {
        await using Cluster cluster = await WithDiskAsync("disk.raw");
        // The primary has it open and goes on; to the backup it is as if the folder were not mounted.
        File.Delete(cluster.Path("disk.raw"));
        if (await cluster.AskAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B")) is NodeProtocol.Refused refused)
        {
            Assert.Contains("disk.raw", refused.Why, StringComparison.Ordinal);
            return;
        }
        bool copied = false, promised = false;
        await BecomesAsync(async () =>
        {
            ReplicaStatusLine line = (await cluster.StatusAsync("A"))!;
            promised = line.Protected;
            bool over = copied && line.Role == "solo";
            copied |= line.Role != "solo";
            return promised || over;
        }, Enough);
        Assert.False(promised, "the VM is called protected, and B cannot open its disk");
    }

    [Fact]
    public async Task Backup_whose_host_loses_the_disk_takes_the_promise_back()
    {
        await using Cluster cluster = await WithDiskAsync("disk.raw");
        await cluster.ProtectAsync("A", "B");
        File.Delete(cluster.Path("disk.raw"));
        bool takenBack = await BecomesAsync(async () => !(await cluster.StatusAsync("A"))!.Protected, TimeSpan.FromSeconds(4));
        Assert.True(takenBack, "the VM is still called protected, and B cannot open its disk");
    }

    [Fact]
    public async Task Owner_may_start_its_VM_again_after_a_power_loss()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A");
        await cluster.StartVmAsync("A", Console);
        await cluster.UntilAsync("A", line => line.Role == "solo", "live");
        cluster.Kill("A");
        await cluster.SystemOf("A").Terminate();
        cluster.Start("A");
        await cluster.StartVmAsync("A", Console);
    }

    [Fact]
    public async Task Older_image_of_an_own_disk_is_refused_even_with_take_over()
    {
        await using var cluster = new Cluster(["A", "B"]);
        foreach (string node in new[] { "A", "B" })
        {
            cluster.MakeOwnDisk(node, "journal.raw", DiskBytes);
            cluster.Start(node);
        }
        const string journal = "workload=journal records=1500 seed=7 pause=5000000", disk = "journal.raw,shared=no";
        await cluster.StartVmAsync("A", journal, disk);
        await cluster.ProtectAsync("A", "B");
        await cluster.DoAsync("A", new NodeProtocol.Unprotect(Cluster.Vm));
        await cluster.UntilAsync("A", line => line.Role == "solo", "alone");
        await cluster.UntilAsync("B", line => line.Role == "ended", "dropped");
        var reader = new ConsoleReader();
        await reader.ReadAsync(await cluster.ConsoleAsync("A"), text => text.Contains('\n', StringComparison.Ordinal));
        cluster.Kill("A");

        NodeProtocol.Start start = VmStart.Read(cluster.WriteVm(journal, disk), null, takeOver: true, Path.GetDirectoryName(cluster.OwnDisk("B", "x"))!);
        var refused = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("B", start));
        Assert.Contains("--accept-old-disk", refused.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Exception_in_the_replicas_actor_never_starts_the_guest_anew()
    {
        await using var cluster = new Cluster(["A", "B"]);
        CountedDevices? devices = null;
        cluster.Start("A", options => options with { Devices = devices = new CountedDevices(options.Devices) });
        cluster.Start("B");
        await cluster.StartVmAsync("A", Endless);
        await cluster.ProtectAsync("A", "B");
        // Its handler looks into the copy of a backup, which a primary has not.
        cluster.SystemOf("A").ActorSelection($"/user/{NodeActor.Name}/{Cluster.Vm}-1/replica").Tell(new ReplayProtocol.Released(null!));
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        bool again = await BecomesAsync(() => Task.FromResult(devices!.Opened > 1), Enough);
        Assert.False(again, $"the guest was started anew: its devices were opened {devices!.Opened} times");
    }

    [Fact]
    public async Task Start_of_a_VM_with_an_empty_record_is_refused_and_harms_no_other()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A");
        await cluster.StartVmAsync("A", Console);
        File.WriteAllText(SecondVm.Record(cluster), "");
        Task<object> answer = cluster.ActorOf("A").Ask<object>(SecondVm.Start(cluster), SecondVm.AnswerTime);
        Assert.True(await SecondVm.LivesAsync(cluster, "A"), "tiny is gone");
        Assert.Contains("other.1.owner", Assert.IsType<NodeProtocol.Refused>(await answer).Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Offer_of_a_VM_with_an_empty_record_is_refused_and_harms_no_other()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.StartOffering("A");
        cluster.Start("B");
        await cluster.StartVmAsync("B", Console);
        File.WriteAllText(SecondVm.Record(cluster), "");
        string? refusal = await SecondVm.OfferAsync(cluster, SecondVm.Offer(SecondVm.Profile.Write()));
        Assert.True(await SecondVm.LivesAsync(cluster, "B"), "tiny is gone");
        Assert.Contains("other.1.owner", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Record_that_hangs_concerns_its_own_VM_only()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A");
        await cluster.StartVmAsync("A", Console);
        using var record = new Fifo(SecondVm.Record(cluster));
        _ = cluster.ActorOf("A").Ask<object>(SecondVm.Start(cluster), SecondVm.AnswerTime).ContinueWith(ended => ended.Exception, TaskScheduler.Default);
        Task<NodeProtocol.Replicas> list = cluster.ActorOf("A").Ask<NodeProtocol.Replicas>(new NodeProtocol.List());
        bool answered = await Task.WhenAny(list, Task.Delay(TimeSpan.FromSeconds(3))) == list;
        Assert.True(answered, "the node does not answer");
    }

    [Fact]
    public Task Image_of_another_VM_is_refused_on_the_same_node() => RequireImageRefusedAsync("A");

    [Fact]
    public Task Image_of_another_VM_is_refused_on_another_node() => RequireImageRefusedAsync("B");

    private static async Task RequireImageRefusedAsync(string node)
    {
        await using Cluster cluster = await WithDiskAsync("disk.raw");
        var refused = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync(node, SecondVm.Start(cluster, cluster.Path("disk.raw"))));
        Assert.Contains(Cluster.Vm, refused.Why, StringComparison.Ordinal);
    }

    /// <summary>As on a node whose fourteen replicas have taken the memory for code.</summary>
    private static NodeOptions WithoutRoom(NodeOptions options, Action? tried = null) => options with
    {
        Adapt = definition => definition with
        {
            Machine = definition.Machine with
            {
                CreateMachine = _ =>
                {
                    tried?.Invoke();
                    throw new InvalidOperationException("it cannot be made here");
                },
            },
        },
    };

    [Fact]
    public async Task VM_that_cannot_be_made_is_refused_and_leaves_no_entry_and_no_record()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A", options => WithoutRoom(options));
        Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", SecondVm.Start(cluster)));
        Assert.Empty(((NodeProtocol.Replicas)await cluster.AskAsync("A", new NodeProtocol.List())).Lines);
        Assert.Null(cluster.Arbiter.Newest(SecondVm.Name));
    }

    [Fact]
    public async Task Backup_that_cannot_be_made_leaves_no_entry()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        int tries = 0;
        cluster.Start("B", options => WithoutRoom(options, () => Interlocked.Increment(ref tries)));
        await cluster.StartVmAsync("A", Console);
        await cluster.DoAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B"));
        await BecomesAsync(() => Task.FromResult(Volatile.Read(ref tries) > 0), Enough);
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.NotEqual("starting", (await cluster.StatusAsync("B"))?.Role);
    }

    [Fact]
    public async Task VM_with_more_memory_than_the_host_is_refused()
    {
        Assert.True((ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes < GuestMemory.SizeBytesMax, "this host could have it");
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A", options => WithoutRoom(options));   // Nobody is to take so much for a test.
        NodeProtocol.Start start = SecondVm.Start(cluster);
        var refused = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", start with { Profile = start.Profile with { MemoryBytes = GuestMemory.SizeBytesMax } }));
        Assert.Contains("memory", refused.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hang_up_signal_does_not_stop_a_node()
    {
        await using var cluster = new Cluster(["A"], extra: "ftakka.node.control-socket = A.sock");
        string config = cluster.Files.ConfigOf(cluster.Files.Nodes[0]);
        using HostProcess node = await HostProcess.StartAsync("A", config, Path.Combine(cluster.Files.Folder, "A.sock"), cluster.Path("log"), []);
        HostCommand.RunChecked("kill", ["-HUP", $"{node.Id}"]);
        bool stopped = await BecomesAsync(() => Task.FromResult(node.HasExited), Enough);
        Assert.False(stopped, "the node has stopped");
    }

    [Fact]
    public async Task Settings_that_differ_between_nodes_are_named()
    {
        await using var cluster = new Cluster(["A", "B"]);
        File.AppendAllText(cluster.Files.ConfigOf(cluster.Files.Nodes[1]), "\nftakka.ft.log-entries = 4711\n");
        cluster.Start("A");
        ActorSystem a = cluster.SystemOf("A");
        var said = new ConcurrentQueue<string>();
        a.EventStream.Subscribe(a.ActorOf(Props.Create(() => new Listener(said))), typeof(Warning));
        cluster.Start("B");
        await cluster.StartVmAsync("A", Console);
        await cluster.ProtectAsync("A", "B");
        bool named = await BecomesAsync(() => Task.FromResult(said.Any(line => line.Contains("log-entries", StringComparison.Ordinal))), TimeSpan.FromSeconds(2));
        Assert.True(named, $"nobody said that log-entries differs; but: {string.Join("; ", said)}");
    }

    private sealed class Listener : ReceiveActor
    {
        public Listener(ConcurrentQueue<string> said) => Receive<Warning>(warning => said.Enqueue(warning.Message.ToString()!));
    }
}
