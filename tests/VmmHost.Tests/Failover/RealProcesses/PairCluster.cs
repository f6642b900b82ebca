using System.Collections.Concurrent;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.Nodes.Arbiters;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>
/// Hosts of one cluster as processes in namespaces of their own, with mutual TLS, the guest on one of them, and a client of its console. Watches
/// all the time that no two hosts run the VM. Logs stay behind when a test failed.
/// </summary>
internal sealed class PairCluster : IAsyncDisposable
{
    /// <summary>Longest wait for anything; hosts that build and test are slow.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);

    private const int WholeAttempts = 20;

    private readonly ConcurrentDictionary<string, HostProcess> running = new(StringComparer.Ordinal);
    private readonly ClusterFiles files;
    private readonly CancellationTokenSource ended = new();
    private readonly Task witness;
    private PairConsole? console;

    /// <summary>A new cluster; no host runs yet.</summary>
    /// <param name="names">Of the hosts.</param>
    /// <param name="failureTimeoutMs">Silence after which a host is suspected; the other times follow from it.</param>
    /// <param name="settings">More settings of every node.</param>
    public PairCluster(IReadOnlyList<string> names, int failureTimeoutMs, string settings = "")
    {
        (Names, FailureTimeoutMs) = (names, failureTimeoutMs);
        Folder = Directory.CreateTempSubdirectory("ftakka-pair-").FullName;
        Network = new PairNetwork(names);
        ClusterNode[] nodes = [.. names.Select((name, i) => new ClusterNode(name, Network.WireAddress(name), 4053))];
        files = ClusterFiles.Create(Path.Combine(Folder, "cluster"), nodes, $"ftakka.node.allowed-paths = [ \"{Folder}\" ]\n" + Timing(failureTimeoutMs) + settings);
        foreach (ClusterNode node in nodes)
        {
            File.AppendAllText(files.ConfigOf(node), $"\nftakka.node.control-socket = \"{node.Name}.sock\"\n");
        }
        Ring = new RingDisk(PairGuest.Ring(Folder));
        witness = Task.Run(WatchAsync);
    }

    public IReadOnlyList<string> Names { get; }

    public int FailureTimeoutMs { get; }

    public string Folder { get; }

    public PairNetwork Network { get; }

    public RingDisk Ring { get; }

    /// <summary>The arbiter's folder.</summary>
    public string Shared => Path.Combine(files.Folder, "shared");

    public FileArbiter Arbiter => new(Shared);

    public PairConsole Console => console ?? throw new InvalidOperationException("The guest was not started.");

    /// <summary>A moment at which two hosts ran the VM; null while there was none.</summary>
    public string? TwoLive { get; private set; }

    /// <summary>Copies that were begun again.</summary>
    public int CopiesGivenUp { get; private set; }

    /// <summary>Set once the test has passed; otherwise the logs are kept.</summary>
    public bool Passed { get; set; }

    public HostProcess Host(string name) => running[name];

    public bool Runs(string name) => running.ContainsKey(name);

    /// <summary>Priority of the hosts; the machine is shared with builds and tests.</summary>
    private static string Niceness => Environment.GetEnvironmentVariable("FTAKKA_PAIR_NICE") ?? "0";

    /// <summary>A host's own copy of the file system.</summary>
    public string OwnDisk(string name) => Path.Combine(files.Folder, "disks", name, "ext4.raw");

    /// <summary>Starts a host.</summary>
    public async Task StartAsync(string name)
    {
        string config = files.ConfigOf(files.Nodes.First(node => node.Name == name));
        running[name] = await HostProcess.StartAsync(name, config, Path.Combine(files.Folder, $"{name}.sock"), LogOf(name),
            ["nice", "-n", Niceness, .. Network.On(name)]);
    }

    /// <summary>Starts hosts, and the guest on the first of them; it counts when this returns.</summary>
    /// <param name="variant">See <see cref="PairGuest.Write"/>.</param>
    /// <param name="fioSize">The same.</param>
    /// <param name="backupReads">The same.</param>
    /// <param name="ownDisks">Each host has its own copy of the file system; all but the first host's are empty.</param>
    public async Task BootAsync(string variant, string fioSize = "12m", bool ownDisks = false, bool backupReads = false)
    {
        string file = PairGuest.Write(Folder, variant, fioSize, ownDisks ? [.. Names.Select(OwnDisk)] : null, backupReads);
        await Task.WhenAll(Names.Select(StartAsync));
        await AskAsync(Names[0], new ControlRequest("start", File: file));
        await UntilAsync(Names[0], "running", ControlClient.IsLive);
        console = new PairConsole(PairGuest.Vm, files.Folder);
        await UntilAsync("the guest to count", () => Task.FromResult(Console.Last > 3));
    }

    /// <summary>The host dies.</summary>
    public void Kill(string name)
    {
        if (running.TryRemove(name, out HostProcess? host))
        {
            host.Kill();
            host.Dispose();
        }
    }

    /// <summary>Asks a host to do something.</summary>
    public async Task<ControlAnswer> AskAsync(string name, ControlRequest request)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await ControlClient.AskAsync(running[name].Socket, request, patience.Token);
    }

    /// <summary>The VM's replica on a host; null if it has none, or does not answer.</summary>
    public async Task<ReplicaStatusLine?> StatusAsync(string name)
    {
        if (!running.TryGetValue(name, out HostProcess? host) || host.IsStopped)
        {
            return null;
        }
        using var patience = new CancellationTokenSource(AnswerPatience);
        try
        {
            ControlAnswer answer = await ControlClient.AskAsync(host.Socket, new ControlRequest("list"), patience.Token);
            return answer.Replicas?.FirstOrDefault(line => line.Vm == PairGuest.Vm);
        }
        catch (Exception silent) when (silent is CommandFailedException or OperationCanceledException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>All replicas that answer.</summary>
    public async Task<List<ReplicaStatusLine>> StatusesAsync() =>
        [.. (await Task.WhenAll(Names.Select(StatusAsync))).OfType<ReplicaStatusLine>()];

    /// <summary>The live replica of the newest generation; null if there is none.</summary>
    public async Task<ReplicaStatusLine?> LiveAsync() =>
        (await StatusesAsync()).Where(ControlClient.IsLive).MaxBy(line => line.Generation);

    /// <summary>Waits for a host's replica to be as wanted.</summary>
    public async Task<ReplicaStatusLine> UntilAsync(string name, string what, Func<ReplicaStatusLine, bool> reached)
    {
        ReplicaStatusLine? line = null;
        await UntilAsync($"{name} to be {what}", async () => (line = await StatusAsync(name)) is not null && reached(line));
        return line!;
    }

    /// <summary>Waits for anything, and fails when a check of the whole has failed.</summary>
    public async Task UntilAsync(string what, Func<Task<bool>> reached, TimeSpan? patience = null)
    {
        DateTime end = DateTime.UtcNow + (patience ?? Patience);
        while (!await reached())
        {
            Check();
            if (DateTime.UtcNow > end)
            {
                throw new TimeoutException($"Waited in vain for {what}.\n{await StoryAsync()}");
            }
            await Task.Delay(10);
        }
    }

    /// <summary>The guest counts on by so many numbers.</summary>
    public Task CountOnAsync(int numbers)
    {
        int until = Console.Last + numbers;
        return UntilAsync($"the guest to count to {until}", () => Task.FromResult(Console.Last >= until));
    }

    /// <summary>Lets the guest begin something.</summary>
    public async Task DoAsync(string verb, int number)
    {
        DateTime typed = default;
        await UntilAsync($"the guest to do {verb} {number}", () =>
        {
            // What is typed into a failover is lost, and what is typed twice is done once.
            if (DateTime.UtcNow - typed > TimeSpan.FromSeconds(3))
            {
                Console.Type($"{verb} {number}");
                typed = DateTime.UtcNow;
            }
            return Task.FromResult(Console.Has($"DO {verb} {number}"));
        });
    }

    /// <summary>Asks the live host for a copy on another, and waits for it to be protected.</summary>
    /// <returns>False if the copy was given up, or the roles changed meanwhile.</returns>
    public async Task<bool> TryProtectAsync(string primary, string backup)
    {
        try
        {
            await AskAsync(primary, new ControlRequest("protect", PairGuest.Vm, Node: backup));
        }
        catch (CommandFailedException)
        {
            return false;
        }
        bool begun = false;
        DateTime asked = DateTime.UtcNow;
        while (DateTime.UtcNow - asked < Patience)
        {
            Check();
            ReplicaStatusLine? line = await StatusAsync(primary);
            begun |= line is { Role: "cloningPrimary" or "protectedPrimary" };
            if (line is { Protected: true } && await StatusAsync(backup) is { Role: "backup" })
            {
                return true;
            }
            if (line is null or { Role: not ("solo" or "cloningPrimary" or "protectedPrimary") }
                || (line.Role == "solo" && (begun || DateTime.UtcNow - asked > TimeSpan.FromSeconds(3))))
            {
                return false;
            }
            await Task.Delay(20);
        }
        throw new TimeoutException($"{primary} was not protected by {backup}.\n{await StoryAsync()}");
    }

    /// <summary>Waits for the pair to be whole: every host runs, and one protects another. Begins again where a copy fails, or a slow host was suspected.</summary>
    public async Task<(string Primary, string Backup)> WholeAsync(Random random)
    {
        await Task.WhenAll(Names.Where(name => !Runs(name)).Select(StartAsync));
        DateTime end = DateTime.UtcNow + Patience;
        while (DateTime.UtcNow < end)
        {
            ReplicaStatusLine? live = await LiveAsync();
            if (live is { Protected: true, Peer: { } peer } && await StatusAsync(peer) is { Role: "backup" })
            {
                return (live.Node, peer);
            }
            if (live is { Role: "solo" })
            {
                string[] others = [.. Names.Where(name => name != live.Node && !Host(name).IsStopped)];
                CopiesGivenUp += await TryProtectAsync(live.Node, others[random.Next(others.Length)]) ? 0 : 1;
            }
            Check();
            await Task.Delay(20);
        }
        throw new TimeoutException($"The VM could not be protected.\n{await StoryAsync()}");
    }

    /// <summary>
    /// Waits for the pair to be whole, lets something happen, and comes back if the pair is still the same. On a busy host one may be suspected
    /// meanwhile; then once more.
    /// </summary>
    public async Task<(string Primary, string Backup)> WholeThroughAsync(Random random, Func<Task> meanwhile)
    {
        for (int attempt = 0; attempt < WholeAttempts; attempt++)
        {
            (string primary, string backup) = await WholeAsync(random);
            await meanwhile();
            if (await IsPairAsync(primary, backup))
            {
                return (primary, backup);
            }
        }
        throw new TimeoutException($"The VM did not stay protected.\n{await StoryAsync()}");
    }

    /// <summary>Whether this host runs the VM and that one protects it.</summary>
    public async Task<bool> IsPairAsync(string primary, string backup) =>
        await StatusAsync(primary) is { CanTakeOver: true, Peer: { } peer } && peer == backup && await StatusAsync(backup) is { Role: "backup" };

    /// <summary>Fails when something that must never happen has happened.</summary>
    public void Check()
    {
        string? fault = console?.Fault ?? Ring.Fault ?? TwoLive;
        if (fault is not null)
        {
            throw new InvalidOperationException($"{fault}\n{console?.Tail()}");
        }
    }

    /// <summary>Everything known, for a failing test.</summary>
    public async Task<string> StoryAsync()
    {
        var story = new List<string> { $"logs are in {Folder}" };
        story.AddRange((await StatusesAsync()).Select(line => line.ToString()));
        story.Add(console?.Tail() ?? "");
        foreach (string name in Names.Where(name => File.Exists(LogOf(name))))
        {
            story.Add($"{name}:");
            story.AddRange((await File.ReadAllLinesAsync(LogOf(name))).TakeLast(12));
        }
        return string.Join('\n', story);
    }

    /// <summary>The guest ends in order; its console, its disks and its file system must be as they should.</summary>
    /// <param name="fileSystem">Its image; null for the one that all hosts share.</param>
    public async Task EndAsync(string? fileSystem = null)
    {
        // Linux 6.1 breaks its virtio queues at shutdown, and loops for ever in virtio-net when frames arrive at that moment (mainline 0d0eff39ceb3).
        Network.CutClient();
        await DoAsync("end", 1);
        await UntilAsync("the guest to end", () => Task.FromResult(Console.Has("PAIR-END")));
        // A host that is too slow to answer says nothing of that: all that run are waited for.
        await UntilAsync("the VM to end", async () =>
        {
            ControlAnswer[] answers = await Task.WhenAll(Names.Where(Runs).Select(name => AskAsync(name, new ControlRequest("list"))));
            return !answers.SelectMany(answer => answer.Replicas ?? []).Any(ControlClient.IsLive);
        });
        Check();
        Assert.Null(await Ring.EndAsync(Console.Last));
        HostCommand check = HostCommand.Run("e2fsck", ["-f", "-n", fileSystem ?? PairGuest.FileSystem(Folder)]);
        Assert.True(check.ExitCode == 0, check.Output + check.Error);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await ended.CancelAsync();
        await witness;
        foreach (string name in Names)
        {
            Kill(name);
        }
        console?.Dispose();
        Ring.Dispose();
        Network.Dispose();
        ended.Dispose();
        if (Passed && Environment.GetEnvironmentVariable("FTAKKA_PAIR_KEEP") != "1")
        {
            Directory.Delete(Folder, recursive: true);
        }
        else if (console is not null)
        {
            await File.WriteAllTextAsync(Path.Combine(Folder, "console.txt"), console.Tail());
        }
    }

    private string LogOf(string name) => Path.Combine(Folder, $"{name}.log");

    /// <summary>A replica that is solo, or copies itself, acts freely: there must be no other such.</summary>
    private async Task WatchAsync()
    {
        while (!ended.IsCancellationRequested)
        {
            // One after the other: two at different moments prove nothing unless the first is asked again.
            List<ReplicaStatusLine> free = [.. (await StatusesAsync()).Where(line => line.Role is "solo" or "cloningPrimary")];
            if (free.Count > 1)
            {
                List<ReplicaStatusLine> still = [.. (await StatusesAsync()).Where(line => free.Exists(before => before.Node == line.Node && before.Role == line.Role))];
                TwoLive ??= still.Count > 1 ? $"{string.Join(" and ", still.Select(line => $"{line.Node} ({line.Role}, generation {line.Generation})"))} run the VM at once" : null;
            }
            await Task.WhenAny(Task.Delay(25, ended.Token));
        }
    }

    /// <summary>The lease ends before the timeout whatever the clocks' drift.</summary>
    private static string Timing(int timeoutMs) => string.Create(CultureInfo.InvariantCulture,
        $"ftakka.ft {{ failure-timeout = {timeoutMs}ms, lease = {timeoutMs * 5 / 6}ms, pause-guard = {timeoutMs / 2}ms, heartbeat-interval = {Math.Max(10, timeoutMs / 6)}ms, channel-timeout = {timeoutMs * 5}ms }}\n");
}
