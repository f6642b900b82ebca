using System.Diagnostics;
using System.Globalization;
using FtAkka.DeviceActors.Consoles;
using FtAkka.GuestKit;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>What operators do with protected VMs: hand over, give the backup up, switch off. Clients see none of the first two.</summary>
public sealed class OperationTests
{
    /// <summary>Lines of a counter that does not end before a busy host has come to what is asked for.</summary>
    private const int Endless = 100_000;

    private static int LineCount(string text) => text.Count(letter => letter == '\n');

    private static async Task<(Cluster Cluster, ConsoleReader Reader, VmConsole OnA)> ProtectedAsync(string workload, string? disk = null, params string[] nodes)
    {
        var cluster = new Cluster(nodes.Length > 0 ? nodes : ["A", "B"]);
        if (disk is not null)
        {
            File.WriteAllBytes(cluster.Path(disk), new byte[1 << 20]);
        }
        foreach (ClusterNode node in cluster.Files.Nodes)
        {
            cluster.Start(node.Name);
        }
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm(workload, disk is null ? null : cluster.Path(disk)), null, takeOver: false));
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 2);
        await cluster.ProtectAsync("A", "B");
        return (cluster, reader, onA);
    }

    [Fact]
    public async Task Planned_failover_hands_over_and_nothing_is_repeated()
    {
        (Cluster cluster, ConsoleReader reader, VmConsole onA) = await ProtectedAsync($"workload=counter count={Endless} period=3000000");
        await using Cluster _ = cluster;
        await reader.ReadAsync(onA, text => LineCount(text) >= 60);
        await cluster.DoAsync("A", new NodeProtocol.Failover(Cluster.Vm));

        ReplicaStatusLine live = await cluster.UntilAsync("B", line => line.Failover is not null, "live");
        Assert.Equal(0, live.Failover!.OutputsResent);
        ReplicaStatusLine former = await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        Assert.Contains("B took over", former.End, StringComparison.Ordinal);
        int goesOnTo = LineCount(reader.Text) + 300;
        await reader.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= goesOnTo);
        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Endless), StringComparison.Ordinal);
        Assert.Equal("B", cluster.Arbiter.Newest(Cluster.Vm)!.Node);
    }

    [Fact]
    public async Task Planned_failover_of_a_guest_that_writes_to_its_disk_leaves_no_request_behind()
    {
        const int records = 1500;
        (Cluster cluster, ConsoleReader reader, VmConsole onA) = await ProtectedAsync($"workload=journal records={records} seed=7 pause=5000000", "disk.raw");
        await using Cluster _ = cluster;
        await reader.ReadAsync(onA, text => LineCount(text) >= 20);
        await cluster.DoAsync("A", new NodeProtocol.Failover(Cluster.Vm));

        ReplicaStatusLine live = await cluster.UntilAsync("B", line => line.Failover is not null, "live");
        Assert.Equal(0, live.Failover!.DiskRequestsReissued);
        await reader.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= records + 1);
        Assert.Equal(TinyGuest.JournalText(7, records), reader.Text);
        byte[] written = new byte[records * JournalRecord.SizeBytes];
        using FileStream image = new(cluster.Path("disk.raw"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        image.ReadExactly(written);
        Assert.Equal(JournalRecord.Expected(7, records), written);
    }

    [Fact]
    public async Task Unprotected_VM_goes_on_and_can_be_protected_again_on_the_same_node()
    {
        (Cluster cluster, ConsoleReader reader, VmConsole onA) = await ProtectedAsync($"workload=counter count={Endless} period=3000000");
        await using Cluster _ = cluster;
        await cluster.DoAsync("A", new NodeProtocol.Unprotect(Cluster.Vm));
        ReplicaStatusLine alone = await cluster.UntilAsync("A", line => line.Role == "solo", "alone");
        Assert.Equal(2ul, alone.Generation);
        await cluster.UntilAsync("B", line => line.Role == "ended", "dropped");

        await cluster.ProtectAsync("A", "B");
        int at = LineCount(reader.Text) + 30;
        await reader.ReadAsync(onA, text => LineCount(text) >= at);
        cluster.Kill("A");
        await cluster.UntilAsync("B", line => line.Role is "solo" or "ended", "live");
        int goesOnTo = LineCount(reader.Text) + 300;
        await reader.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= goesOnTo);
        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Endless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Switching_off_ends_both_replicas_and_neither_goes_live()
    {
        (Cluster cluster, ConsoleReader _, VmConsole _) = await ProtectedAsync($"workload=counter count={Endless} period=3000000");
        await using Cluster disposed = cluster;
        await cluster.DoAsync("A", new NodeProtocol.Operate(Cluster.Vm, ControlOperation.PowerOff));
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        ReplicaStatusLine backup = await cluster.UntilAsync("B", line => line.Role == "ended", "ended");
        Assert.Contains("machine ended", backup.End, StringComparison.Ordinal);
        Assert.Equal(1ul, cluster.Arbiter.Newest(Cluster.Vm)!.Generation);
        Assert.True(cluster.Arbiter.HasEnded(Cluster.Vm, 1));
    }

    [Fact]
    public async Task Failover_of_a_VM_without_a_backup_is_refused_with_what_to_do()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Endless} period=3000000"), null, takeOver: false));
        await cluster.ConsoleAsync("A");
        object answer = await cluster.AskAsync("A", new NodeProtocol.Failover(Cluster.Vm));
        Assert.Contains("protect", Assert.IsType<NodeProtocol.Refused>(answer).Why, StringComparison.Ordinal);
        Assert.Contains("no backup", Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", new NodeProtocol.Unprotect(Cluster.Vm))).Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_that_stops_in_order_hands_its_VM_over_and_leaves_its_backups()
    {
        (Cluster cluster, ConsoleReader reader, VmConsole onA) = await ProtectedAsync($"workload=counter count={Endless} period=3000000");
        await using Cluster _ = cluster;
        await reader.ReadAsync(onA, text => LineCount(text) >= 30);
        var left = (NodeProtocol.Left)await cluster.AskAsync("A", new NodeProtocol.Leave());
        Assert.Contains("handing over to its backup on B", Assert.Single(left.What), StringComparison.Ordinal);
        Assert.Contains("stopping", Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A",
            VmStart.Read(cluster.WriteVm("workload=counter"), null, takeOver: false))).Why, StringComparison.Ordinal);
        ReplicaStatusLine live = await cluster.UntilAsync("B", line => line.Failover is not null, "live");
        Assert.Equal(0, live.Failover!.OutputsResent);
        int goesOnTo = LineCount(reader.Text) + 300;
        await reader.ReadAsync(await cluster.ConsoleAsync("B"), text => LineCount(text) >= goesOnTo);
        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Endless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_whose_node_stops_in_order_is_missed_at_once()
    {
        (Cluster cluster, ConsoleReader _, VmConsole _) = await ProtectedAsync($"workload=counter count={Endless} period=3000000");
        await using Cluster disposed = cluster;
        var left = (NodeProtocol.Left)await cluster.AskAsync("B", new NodeProtocol.Leave());
        Assert.Contains("A goes on without it", Assert.Single(left.What), StringComparison.Ordinal);
        await cluster.UntilAsync("A", line => line.Role == "solo", "alone");
    }

    [Fact]
    public async Task Lost_backup_is_replaced_without_a_person_where_the_configuration_says_so()
    {
        await using var cluster = new Cluster(["A", "B", "C"], extra: "ftakka.ft { auto-protect = [ B, C ], auto-protect-delay = 50ms }");
        foreach (string name in new[] { "A", "B", "C" })
        {
            cluster.Start(name);
        }
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm($"workload=counter count={Endless} period=4000000"), "B", takeOver: false));
        await cluster.UntilAsync("A", line => line is { Protected: true, Peer: "B" }, "protected by B");
        var reader = new ConsoleReader();
        VmConsole onA = await cluster.ConsoleAsync("A");
        await reader.ReadAsync(onA, text => LineCount(text) >= 10);
        cluster.Kill("B");
        await cluster.UntilAsync("A", line => line is { Protected: true, Peer: "C" }, "protected by C");
        int at = LineCount(reader.Text) + 20;
        await reader.ReadAsync(onA, text => LineCount(text) >= at);
        cluster.Kill("A");
        await cluster.UntilAsync("C", line => line.Failover is not null, "live");
        await reader.ReadAsync(await cluster.ConsoleAsync("C"), text => LineCount(text) >= at + 100);
        Assert.StartsWith(reader.Text, TinyGuest.CounterText(Endless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Process_that_is_asked_to_end_hands_its_VM_over_and_says_so()
    {
        await using var cluster = new Cluster(["A", "B"], extra: "ftakka.node.control-socket = A.sock");
        cluster.Start("B");
        string[] command = GuestProcess.Program(["host", "--name", "A", "--config", cluster.Files.ConfigOf(cluster.Files.Nodes[0])]);
        using Process process = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardError = true })!;
        Task<string> said = process.StandardError.ReadToEndAsync();
        string socket = Path.Combine(cluster.Files.Folder, "A.sock");
        using var patience = new CancellationTokenSource(Cluster.Patience);
        while (!File.Exists(socket))
        {
            await Task.Delay(20, patience.Token);
        }
        await ControlClient.AskAsync(socket, new ControlRequest("start", File: cluster.WriteVm($"workload=counter count={Endless} period=3000000"), Node: "B"), patience.Token);
        await cluster.UntilAsync("B", line => line.Role == "backup", "a backup");
        HostCommand.RunChecked("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);

        ReplicaStatusLine live = await cluster.UntilAsync("B", line => line.Failover is not null, "live");
        Assert.Equal(0, live.Failover!.OutputsResent);
        await process.WaitForExitAsync(patience.Token);
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("tiny: handing over to its backup on B", await said, StringComparison.Ordinal);
    }
}
