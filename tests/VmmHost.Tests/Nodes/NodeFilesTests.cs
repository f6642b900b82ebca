using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.Labels;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Failover;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Nodes;

/// <summary>Files and folders that a node works with: what is missing, alien, expired, endless or open to others is refused with its name.</summary>
public sealed class NodeFilesTests : IDisposable
{
    private static readonly TimeSpan ReadTime = TimeSpan.FromSeconds(2);

    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-files-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string InFolder(string name) => Path.Combine(folder, name);

    private ClusterFiles MakeCluster(string name) => ClusterFiles.Create(InFolder(name), [new ClusterNode("A", "127.0.0.1", 4053)]);

    private static NodeSettings Read(ClusterFiles files) => NodeSettings.Read(files.ConfigOf(files.Nodes[0]), "A", insecure: false);

    private string VmFile(string kernel)
    {
        string file = InFolder("vm.hocon");
        File.WriteAllText(file, $"name = vm\nmemory = 16M\nkernel = \"{kernel}\"\n");
        return file;
    }

    [Fact]
    public void Missing_shared_folder_is_refused_and_never_made()
    {
        ClusterFiles files = MakeCluster("cluster");
        string shared = Path.Combine(files.Folder, "shared");
        Directory.Delete(shared, recursive: true);
        Exception? refusal = Record.Exception(() => Read(files).ToOptions());
        Assert.False(Directory.Exists(shared), "the shared folder was made");
        Assert.Contains(shared, Assert.IsType<CommandFailedException>(refusal).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shared_folder_without_the_clusters_identity_is_refused()
    {
        ClusterFiles files = MakeCluster("cluster");
        string shared = Path.Combine(files.Folder, "shared");
        Directory.Delete(shared, recursive: true);
        Directory.CreateDirectory(shared);
        Exception? refusal = Record.Exception(() => Read(files).ToOptions());
        Assert.True(refusal is CommandFailedException, "the empty folder was taken");
    }

    [Fact]
    public void Shared_folder_of_another_cluster_is_refused()
    {
        ClusterFiles files = MakeCluster("cluster"), others = MakeCluster("other");
        string shared = Path.Combine(files.Folder, "shared");
        Directory.Delete(shared, recursive: true);
        Directory.Move(Path.Combine(others.Folder, "shared"), shared);
        Exception? refusal = Record.Exception(() => Read(files).ToOptions());
        Assert.True(refusal is CommandFailedException, "the other cluster's folder was taken");
    }

    [Fact]
    public void Certificate_of_a_node_is_good_for_at_most_ninety_days()
    {
        ClusterFiles files = MakeCluster("cluster");
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12FromFile(Path.Combine(files.Folder, "A.pfx"), "");
        double days = (certificate.NotAfter - DateTime.Now).TotalDays;
        Assert.True(days <= 91, $"the certificate is good for {days:F0} days");
    }

    [Fact]
    public async Task Node_with_an_expired_certificate_says_so_and_does_not_start()
    {
        ClusterFiles files = MakeCluster("cluster");
        DateTimeOffset then = DateTimeOffset.UtcNow - TimeSpan.FromDays(3);
        using X509Certificate2 authority = Certificates.CreateAuthority("FtAkka cluster", then, TimeSpan.FromDays(30));
        using X509Certificate2 expired = Certificates.IssueNode(authority, "A", ["127.0.0.1"], then, TimeSpan.FromDays(1));
        Certificates.WritePfx(expired, authority, Path.Combine(files.Folder, "A.pfx"), "");
        File.WriteAllText(files.ConfigOf(files.Nodes[0]), File.ReadAllText(files.ConfigOf(files.Nodes[0])).Replace("port = 4053", $"port = {FreePort.Next()}", StringComparison.Ordinal));
        ActorSystem? started = null;
        Exception? refusal = Record.Exception(() =>
        {
            NodeSettings settings = Read(files);
            settings.ToOptions();
            started = ActorSystem.Create("ftakka", settings.Akka);
        });
        await (started?.Terminate() ?? Task.CompletedTask);
        Assert.True(refusal is not null, "the expired certificate was taken");
        Assert.Contains("expired", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folder_of_the_control_socket_that_others_may_write_to_is_refused()
    {
        string open = Directory.CreateDirectory(InFolder("run")).FullName;
        File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);
        Exception? refusal = Record.Exception(() => new ControlServer(Path.Combine(open, "A.sock"), "A", ActorRefs.Nobody, folder).Dispose());
        Assert.True(refusal is CommandFailedException, "the folder was taken");
    }

    [Fact]
    public void Reports_of_divergences_are_for_their_owner_only()
    {
        string reports = InFolder("divergences");
        var report = new DivergenceReport("vm", "A", "backup", new ChannelSession(1, 1), new Lsn(1), 1, "nothing", [], []);
        new EvidenceFolder(reports, 4).Write(report);
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        string[] open = [.. Directory.EnumerateFiles(reports).Append(reports).Where(file => (File.GetUnixFileMode(file) & others) != 0)];
        Assert.True(open.Length == 0, $"{string.Join(", ", open)} may be read by others");
    }

    [Fact]
    public async Task Kernel_that_is_a_FIFO_is_refused_with_its_name()
    {
        using var kernel = new Fifo(InFolder("kernel"));
        string file = VmFile(InFolder("kernel"));
        Task<Exception?> read = Task.Factory.StartNew<Exception?>(() => Record.Exception(() => VmStart.Read(file, null, takeOver: false)),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        bool ended = await Task.WhenAny(read, Task.Delay(ReadTime)) == read;
        Assert.True(ended, "the start of the VM still waits for its kernel");
        Assert.Contains(InFolder("kernel"), Assert.IsType<CommandFailedException>(await read).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Kernel_that_is_far_too_large_is_refused_with_its_name()
    {
        using (FileStream huge = File.Create(InFolder("kernel")))
        {
            huge.SetLength(40L << 30);   // of holes: it takes no room
        }
        var refusal = Assert.Throws<CommandFailedException>(() => VmStart.Read(VmFile(InFolder("kernel")), null, takeOver: false));
        Assert.Contains(InFolder("kernel"), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Kernel_that_is_a_folder_is_refused_with_its_name()
    {
        var refusal = Assert.Throws<CommandFailedException>(() => VmStart.Read(VmFile(folder), null, takeOver: false));
        Assert.Contains(folder, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Kernel_without_an_end_is_refused_with_its_name()
    {
        // In a process that may have little memory, so that the machine keeps its own.
        (int exit, string said) = Run(["run", "--kernel", "/dev/zero", "--memory", "16M", "--console", "none"], ("DOTNET_GCHeapHardLimit", "0x4000000"));
        Assert.True(exit == ExitCode.Failed && said.Contains("/dev/zero", StringComparison.Ordinal), $"/dev/zero was not refused: exit code {exit}, {said}");
    }

    [Fact]
    public void Configuration_that_is_nested_far_too_deep_is_refused_with_its_name()
    {
        string file = InFolder("deep.hocon");
        File.WriteAllText(file, "a = " + new string('[', 400_000));
        (int exit, string said) = Run(["host", "--name", "A", "--config", file]);
        Assert.True(exit == ExitCode.Failed && said.Contains("deep.hocon", StringComparison.Ordinal), $"the process was ended by {exit}: {said}");
    }

    [Fact]
    public async Task Configuration_that_is_a_FIFO_is_refused_with_its_name()
    {
        using var fifo = new Fifo(InFolder("A.hocon"));
        Task<Exception?> read = Task.Factory.StartNew<Exception?>(() => Record.Exception(() => NodeSettings.Read(InFolder("A.hocon"), "A", insecure: false)),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(await Task.WhenAny(read, Task.Delay(ReadTime)) == read, "the node still waits for its configuration");
        Assert.Contains(InFolder("A.hocon"), Assert.IsType<CommandFailedException>(await read).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Configuration_without_the_clusters_identity_says_where_it_belongs()
    {
        ClusterFiles files = MakeCluster("cluster");
        string config = files.ConfigOf(files.Nodes[0]);
        File.WriteAllLines(config, File.ReadAllLines(config).Where(line => !line.Contains("cluster =", StringComparison.Ordinal)));
        string message = Assert.Throws<CommandFailedException>(() => Read(files).ToOptions()).Message;
        Assert.Contains("ftakka.node.cluster", message, StringComparison.Ordinal);
        Assert.Contains(config, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folder_of_the_control_socket_is_made_for_its_owner_only_and_is_no_link()
    {
        string made = InFolder("run"), link = InFolder("link");
        new ControlServer(Path.Combine(made, "A.sock"), "A", ActorRefs.Nobody, folder).Dispose();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(made));
        File.CreateSymbolicLink(link, made);
        var refusal = Assert.Throws<CommandFailedException>(() => new ControlServer(Path.Combine(link, "A.sock"), "A", ActorRefs.Nobody, folder));
        Assert.Contains(link, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Interval_of_proofs_is_a_setting_within_limits()
    {
        ClusterFiles files = MakeCluster("cluster");
        string file = files.ConfigOf(files.Nodes[0]);
        Assert.Equal(TimeSpan.FromSeconds(2), Read(files).ToOptions().ProofInterval);
        File.AppendAllText(file, "\nftakka.ft.proof-interval = 500ms\n");
        Assert.Equal(TimeSpan.FromMilliseconds(500), Read(files).ToOptions().ProofInterval);
        File.AppendAllText(file, "\nftakka.ft.proof-interval = 0s\n");
        Assert.Contains("ftakka.ft.proof-interval", Assert.Throws<CommandFailedException>(() => Read(files)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Image_of_a_clusters_VM_is_not_written_to_by_a_VM_outside()
    {
        string image = InFolder("disk.raw"), kernel = InFolder("kernel");
        File.WriteAllBytes(image, new byte[4096]);
        File.WriteAllText(kernel, "none");
        new DiskLabels("A", "cluster", folder, new FileArbiter(folder)).Take("web", image, separate: false);
        (int exit, string said) = Run(["run", "--kernel", kernel, "--disk", image]);
        Assert.NotEqual(0, exit);
        Assert.Contains("belongs to the VM web of a cluster", said, StringComparison.Ordinal);
        Assert.DoesNotContain("belongs to the VM", Run(["run", "--kernel", kernel, "--disk", $"{image},readonly"]).Said, StringComparison.Ordinal);
    }

    /// <summary>Runs the program to its end. What it said is cut: the trace of a deep stack is long.</summary>
    private static (int Exit, string Said) Run(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        string[] command = GuestProcess.Program(arguments);
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(40)))
        {
            process.Kill();
            process.WaitForExit();
        }
        string said = output.GetAwaiter().GetResult() + error.GetAwaiter().GetResult();
        return (process.ExitCode, said.Length > 300 ? said[..300] : said);
    }
}
