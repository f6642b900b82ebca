using System.Net.Sockets;
using System.Text;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>The test plays a service manager by systemd's protocol (sd_notify(3)): the node says when it is ready, that it is alive, and that it stops.</summary>
public sealed class ServiceManagerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly Socket manager = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

    public void Dispose()
    {
        manager.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task Node_says_when_it_is_ready_and_alive_and_stops_in_order()
    {
        string notify = Path.Combine(folder.Path, "notify.sock"), control = Path.Combine(folder.Path, "A.sock"), log = Path.Combine(folder.Path, "A.log");
        manager.Bind(new UnixDomainSocketEndPoint(notify));
        ClusterFiles files = ClusterFiles.Create(Path.Combine(folder.Path, "cluster"), [new ClusterNode("A", "127.0.0.1", 0)], $"ftakka.node.control-socket = \"{control}\"\n");
        using HostProcess node = await HostProcess.StartAsync("A", files.ConfigOf(files.Nodes[0]), control, log, ["env", $"NOTIFY_SOCKET={notify}", "WATCHDOG_USEC=300000"]);

        Assert.Equal("READY=1", await SaidAsync());
        Assert.Equal("WATCHDOG=1", await SaidAsync());
        Assert.Equal("WATCHDOG=1", await SaidAsync());
        Task<int> ended = node.EndAsync();
        string said;
        do
        {
            said = await SaidAsync();
        }
        while (said == "WATCHDOG=1");
        Assert.Equal("STOPPING=1", said);
        Assert.Equal(ExitCode.Ok, await ended);
        Assert.Contains("node A stops", await File.ReadAllTextAsync(log), StringComparison.Ordinal);
        Assert.False(File.Exists(control));
    }

    [Fact]
    public async Task Node_that_cannot_start_never_says_that_it_is_ready()
    {
        string notify = Path.Combine(folder.Path, "notify.sock");
        manager.Bind(new UnixDomainSocketEndPoint(notify));
        using var taken = new TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        int port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;
        ClusterFiles files = ClusterFiles.Create(Path.Combine(folder.Path, "cluster"), [new ClusterNode("A", "127.0.0.1", port)]);
        string[] command = [.. HostProcess.Program, "host", "--name", "A", "--config", files.ConfigOf(files.Nodes[0])];
        var start = new System.Diagnostics.ProcessStartInfo("env", [$"NOTIFY_SOCKET={notify}", .. command]) { RedirectStandardError = true };
        using var process = System.Diagnostics.Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();

        Assert.Equal(ExitCode.Failed, process.ExitCode);
        Assert.Contains("The node A cannot start", error, StringComparison.Ordinal);
        Assert.Equal(0, manager.Available);
    }

    private async Task<string> SaidAsync()
    {
        byte[] buffer = new byte[4096];
        using var patience = new CancellationTokenSource(Patience);
        return Encoding.UTF8.GetString(buffer, 0, await manager.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, patience.Token));
    }
}
