using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary><c>vm protect --wait</c> and <c>vm start --backup --wait</c>: they end when the VM is protected, or say why it is not.</summary>
public sealed class ProtectionWaitTests
{
    private static ReplicaStatusLine Line(string role, string? lastError = null) => new() { Node = "A", Vm = "tiny", Role = role, LastError = lastError };

    [Fact]
    public async Task Wait_ends_when_the_VM_is_protected()
    {
        await using Cluster cluster = await RunningAsync();
        using ControlServer control = ControlOf(cluster);
        (int exit, string output, string errors) = await ProtectAsync(cluster);
        Assert.True(exit == ExitCode.Ok, errors);
        Assert.Contains("tiny is protected by B", output, StringComparison.Ordinal);
        Assert.True((await cluster.StatusAsync("A"))!.Protected);
    }

    [Fact]
    public async Task Wait_for_a_copy_that_is_refused_fails_with_the_reason()
    {
        await using Cluster cluster = await RunningAsync(options => options with { MemoryBytesMax = 0 });
        using ControlServer control = ControlOf(cluster);
        (int exit, _, string errors) = await ProtectAsync(cluster);
        Assert.Equal(ExitCode.Failed, exit);
        Assert.Contains("B has no memory for tiny", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_has_failed_is_not_waited_for()
    {
        Assert.Contains("no replica", ProtectionWait.Failure("tiny", null, begun: true), StringComparison.Ordinal);
        Assert.Contains("has ended", ProtectionWait.Failure("tiny", Line("ended"), begun: true), StringComparison.Ordinal);
        Assert.Contains("no room", ProtectionWait.Failure("tiny", Line("solo", "no room"), begun: false), StringComparison.Ordinal);
        Assert.Contains("given up", ProtectionWait.Failure("tiny", Line("solo"), begun: true), StringComparison.Ordinal);
        Assert.Null(ProtectionWait.Failure("tiny", Line("solo"), begun: false));
        Assert.Null(ProtectionWait.Failure("tiny", Line("cloningPrimary", "an earlier one"), begun: true));
    }

    private static async Task<Cluster> RunningAsync(Func<NodeOptions, NodeOptions>? changeB = null)
    {
        var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B", changeB);
        await cluster.StartVmAsync("A", "workload=counter count=100000 period=3000000");
        await cluster.UntilAsync("A", line => line.Role == "solo", "live");
        return cluster;
    }

    private static string SocketOf(Cluster cluster) => cluster.Path("run/A.sock");

    private static ControlServer ControlOf(Cluster cluster) => new(SocketOf(cluster), "A", cluster.ActorOf("A"), cluster.Folder);

    private static async Task<(int Exit, string Output, string Errors)> ProtectAsync(Cluster cluster)
    {
        var output = new StringWriter();
        var errors = new StringWriter();
        int exit = await new CommandLineApplication(CommandLineApplication.FindModules(), output, errors)
            .RunAsync(["vm", "protect", Cluster.Vm, "--backup", "B", "--control", SocketOf(cluster), "--wait"]);
        return (exit, output.ToString(), errors.ToString());
    }
}
