using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Nodes;

/// <summary><c>cluster init</c>.</summary>
public sealed class ClusterVerbTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-cluster-").FullName;
    private readonly StringWriter output = new(), error = new();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string InFolder(params string[] names) => Path.Combine([folder, .. names]);

    private Task<int> RunAsync(params string[] arguments) => new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(arguments);

    private NodeSettings Read(string node) => NodeSettings.Read(InFolder("cluster", node + ".hocon"), node, insecure: false);

    [Fact]
    public async Task Shared_folder_that_is_mounted_gets_the_identity_once()
    {
        string shared = Directory.CreateDirectory(InFolder("mount")).FullName;
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--shared", shared, "--node", "A", "--node", "B"));
        Assert.Equal(shared, Read("A").ToOptions().Arbiter.Place);
        Assert.Equal(shared, Read("B").ToOptions().Arbiter.Place);

        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "init", InFolder("other"), "--shared", shared, "--node", "A"));
        Assert.Contains(shared, error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(InFolder("other")));
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "init", InFolder("other"), "--shared", InFolder("nothing"), "--node", "A"));
        Assert.Contains(InFolder("nothing"), error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(InFolder("nothing")));
    }
}
