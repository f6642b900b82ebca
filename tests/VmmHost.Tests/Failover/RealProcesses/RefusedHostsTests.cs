using FtAkka.GuestKit;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>Hosts that do not belong together, as processes: what their logs and the command line say is what an operator gets to see.</summary>
public sealed class RefusedHostsTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly List<HostProcess> hosts = [];
    private ClusterFiles files = null!;

    public Task InitializeAsync()
    {
        files = ClusterFiles.Create(Path.Combine(folder.Path, "cluster"), [new ClusterNode("A", "127.0.0.1", FreePort.Next()), new ClusterNode("B", "127.0.0.1", FreePort.Next())]);
        foreach (ClusterNode node in files.Nodes)
        {
            File.AppendAllText(files.ConfigOf(node), $"\nftakka.node.control-socket = \"{node.Name}.sock\"\n");
        }
        return Task.CompletedTask;
    }

    public Task DisposeAsync()
    {
        hosts.ForEach(host => host.Dispose());
        folder.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Host_with_a_certificate_of_another_cluster_gets_no_copy_and_both_logs_say_what_to_do()
    {
        ClusterFiles others = ClusterFiles.Create(Path.Combine(folder.Path, "others"), [new ClusterNode("B", "127.0.0.1", 1)]);
        File.Copy(Path.Combine(others.Folder, "B.pfx"), Path.Combine(files.Folder, "B.pfx"), overwrite: true);
        await StartAsync("A");
        await StartAsync("B");

        await RefusesAsync("A", "is of no authority that this node trusts");
        await RefusesAsync("B", "is of no authority that this node trusts");
        await GetsNoBackupAsync();
    }

    [Fact]
    public async Task Host_without_encryption_gets_no_copy_and_the_log_says_what_to_do()
    {
        await StartAsync("A");
        await StartAsync("B", "--insecure-tcp");

        await RefusesAsync("A", "speaks no TLS");
        await GetsNoBackupAsync();
    }

    [Fact]
    public void Host_without_a_certificate_does_not_start_and_says_what_to_do()
    {
        File.Delete(Path.Combine(files.Folder, "B.pfx"));
        string[] command = [.. HostProcess.Program, "host", "--name", "B", "--config", files.ConfigOf(files.Nodes[1])];
        HostCommand ended = HostCommand.Run(command[0], command[1..]);

        Assert.Equal(ExitCode.Failed, ended.ExitCode);
        Assert.Contains("has no certificate", ended.Error, StringComparison.Ordinal);
        Assert.Contains("cluster init", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Host_with_another_hosts_certificate_does_not_start_and_names_it()
    {
        File.Copy(Path.Combine(files.Folder, "A.pfx"), Path.Combine(files.Folder, "B.pfx"), overwrite: true);
        string[] command = [.. HostProcess.Program, "host", "--name", "B", "--config", files.ConfigOf(files.Nodes[1])];
        HostCommand ended = HostCommand.Run(command[0], command[1..]);

        Assert.Equal(ExitCode.Failed, ended.ExitCode);
        Assert.Contains("does not carry the node name 'B'", ended.Error, StringComparison.Ordinal);
    }

    private async Task StartAsync(string name, params string[] more)
    {
        ClusterNode node = files.Nodes.First(node => node.Name == name);
        hosts.Add(await HostProcess.StartAsync(name, files.ConfigOf(node), Path.Combine(files.Folder, $"{name}.sock"), LogOf(name), [], more));
    }

    private string LogOf(string name) => Path.Combine(folder.Path, $"{name}.log");

    /// <summary>The host's log has a line with the reason, and in the same line what helps.</summary>
    private async Task RefusesAsync(string name, string why)
    {
        string[] lines = [];
        for (DateTime end = DateTime.UtcNow + Patience; DateTime.UtcNow < end; await Task.Delay(50))
        {
            lines = await File.ReadAllLinesAsync(LogOf(name));
            if (lines.Any(line => line.Contains(why, StringComparison.Ordinal) && line.Contains("ftakka cluster init", StringComparison.Ordinal)))
            {
                return;
            }
        }
        Assert.Fail(string.Join('\n', lines));
    }

    /// <summary>A guest on A that is to be copied to B stays on A, and goes on.</summary>
    private async Task GetsNoBackupAsync()
    {
        string kernel = Path.Combine(folder.Path, "kernel");
        await File.WriteAllBytesAsync(kernel, TinyGuest.Kernel);
        string vm = Path.Combine(folder.Path, "tiny.hocon");
        await File.WriteAllTextAsync(vm, $"name = tiny\nmemory = 16M\nkernel = \"{kernel}\"\nappend = \"workload=counter count=1000000 period=3000000\"\n");
        using var patience = new CancellationTokenSource(Patience);
        await ControlClient.AskAsync(hosts[0].Socket, new ControlRequest("start", File: vm), patience.Token);
        await ControlClient.AskAsync(hosts[0].Socket, new ControlRequest("protect", "tiny", Node: "B"), patience.Token);
        await RefusedAsync(patience.Token);

        ReplicaStatusLine line = Assert.Single(await ControlClient.ListAsync([hosts[0].Socket], patience.Token));
        Assert.Equal("solo", line.Role);
        Assert.Equal(1ul, line.Generation);
        Assert.Empty(await ControlClient.ListAsync([hosts[1].Socket], patience.Token));
        // It goes on; how soon is up to the host.
        while (Assert.Single(await ControlClient.ListAsync([hosts[0].Socket], patience.Token)).Icount <= line.Icount)
        {
            await Task.Delay(50, patience.Token);
        }
    }

    private async Task RefusedAsync(CancellationToken patience)
    {
        while (!(await File.ReadAllTextAsync(LogOf("A"), patience)).Contains("clone ended: the other side does not answer", StringComparison.Ordinal))
        {
            await Task.Delay(50, patience);
        }
    }
}
