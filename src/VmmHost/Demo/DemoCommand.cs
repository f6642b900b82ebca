using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Demo;

/// <summary><c>ftakka demo</c>: a guest survives the death of its host, before the user's eyes.</summary>
public sealed class DemoCommand : ICommandModule
{
    private const string Vm = "demo";
    private static readonly string[] NodeNames = ["A", "B", "C"];

    /// <inheritdoc/>
    public string Path => "demo";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        var timeout = new Option<int>("--timeout") { Description = "Silence in milliseconds after which a node is taken for dead.", DefaultValueFactory = _ => 300, HelpName = "MS" };
        timeout.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 100 or > 10_000)
            {
                result.AddError("--timeout must be between 100 and 10000.");
            }
        });
        var keep = new Option<bool>("--keep") { Description = "Keep the cluster's folder, with the nodes' logs." };
        var again = new Option<bool>("--no-reprotect") { Description = "Leave out the new backup after the failover." };
        var tiny = new Option<bool>("--tiny") { Description = "Run the tiny guest of this program instead of Debian's Linux." };
        var command = new Command("demo", "Boot Linux on node A, protect it by node B, kill A, and see the guest go on on B.") { timeout, keep, again, tiny, json };
        command.SetAction(async (parsed, cancelled) =>
        {
            DemoGuest guest = DemoGuest.Obtain(GuestFolder.Default, parsed.GetValue(tiny), terminal.Progress);
            using DemoNetwork? network = guest.HasNetwork ? DemoNetwork.TryCreate(terminal.Progress) : null;
            string folder = Directory.CreateTempSubdirectory("ftakka-demo-").FullName;
            bool asJson = parsed.GetValue(json);
            try
            {
                var run = new DemoRun(folder, guest, network, parsed.GetValue(timeout), line => terminal.Progress(line));
                DemoResult result = await run.RunAsync(!parsed.GetValue(again), cancelled).ConfigureAwait(false);
                Print(terminal, result, asJson);
                return result.Fault is null ? ExitCode.Ok : ExitCode.Failed;
            }
            finally
            {
                if (!parsed.GetValue(keep))
                {
                    Directory.Delete(folder, recursive: true);
                }
                else
                {
                    terminal.Progress($"the cluster's files and logs are in {folder}");
                }
            }
        });
        return command;
    }

    private static void Print(Terminal terminal, DemoResult result, bool json)
    {
        if (json)
        {
            terminal.WriteJson(new DemoFigures(result.DetectionMs, result.DrainMs, Math.Round(result.ArbiterMs + result.GoLiveMs, 3), result.TotalOutageMs, result.LagMs,
                result.OutputsResent, result.BytesLost, result.Guest));
            if (result.Fault is not null)
            {
                terminal.Progress(result.Fault);
            }
            return;
        }
        FormattableString[] lines =
        [
            $"guest                  {result.Guest}",
            $"failure timeout        {result.TimeoutMs} ms",
            $"lag before the failure {result.LagMs} ms",
            $"detection              {result.DetectionMs} ms after the last message",
            $"drain (replay)         {result.DrainMs} ms",
            $"arbiter                {result.ArbiterMs} ms",
            $"go live                {result.GoLiveMs} ms",
            $"total outage           {result.TotalOutageMs} ms without a new number on the console",
            $"outputs resent         {result.OutputsResent}",
            $"disk requests reissued {result.DiskRequestsReissued}",
            $"bytes lost             {result.BytesLost}",
            $"numbers counted        {result.Counted}, all on the disk: {(result.DiskFault is null ? "yes" : result.DiskFault)}",
            $"TCP transfer           {result.Transfer ?? "not tried"}",
            $"protected again        {result.ProtectedAgain ?? "not tried"}",
            $"verdict                {result.Fault ?? "nothing was lost, nothing was repeated"}",
        ];
        foreach (FormattableString line in lines)
        {
            terminal.Output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        }
    }

    private sealed class DemoRun(string folder, DemoGuest guest, DemoNetwork? network, int timeoutMs, Action<string> say)
    {
        private readonly DemoCounter counter = new(guest);
        private readonly DemoTransfer? transfer = network is null ? null : new DemoTransfer(network.GuestAddress);
        private readonly List<DemoNode> nodes = [];
        private readonly Stopwatch total = Stopwatch.StartNew();

        private static double Clock => Stopwatch.GetElapsedTime(0).TotalMilliseconds;

        public async Task<DemoResult> RunAsync(bool protectAgain, CancellationToken cancelled)
        {
            ClusterNode[] wanted = [.. NodeNames.Select(DemoNode.OnThisHost)];
            ClusterFiles files = ClusterFiles.Create(System.IO.Path.Combine(folder, "cluster"), wanted, Timing());
            foreach (ClusterNode node in wanted)
            {
                // Short paths: a unix socket's name has room for some hundred characters.
                File.AppendAllText(files.ConfigOf(node), $"ftakka.node.control-socket = \"{node.Name}.sock\"\n");
            }
            (string file, string disk) = guest.Write(folder, network);
            using var following = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
            try
            {
                Say("starting the hosts A and B");
                nodes.AddRange(await Task.WhenAll(wanted.Take(2).Select(node => DemoNode.StartAsync(files, node, cancelled))).ConfigureAwait(false));
                (DemoNode a, DemoNode b) = (nodes[0], nodes[1]);
                Say($"booting {guest.Name} on A");
                await ControlClient.AskAsync(a.Socket, new ControlRequest("start", File: file), cancelled).ConfigureAwait(false);
                var follower = new ConsoleFollower(() => [.. nodes.Select(node => node.Socket)], Vm);
                Task follow = follower.FollowAsync(bytes => counter.Take(bytes, Clock), TimeSpan.FromSeconds(60), following.Token);
                await UntilAsync("the guest to count", () => counter.Last >= 3, 60, cancelled).ConfigureAwait(false);
                transfer?.Start(following.Token);
                await ProtectAsync(a, b, cancelled).ConfigureAwait(false);
                await CountOnAsync(50, cancelled).ConfigureAwait(false);
                ReplicaStatusLine before = await StatusAsync(a, cancelled).ConfigureAwait(false);
                if (!before.CanTakeOver)
                {
                    Say($"the backup was lost, since this machine is too busy for a timeout of {timeoutMs} ms");
                    await ProtectAsync(a, b, cancelled).ConfigureAwait(false);
                    before = await StatusAsync(a, cancelled).ConfigureAwait(false);
                }
                if (transfer is not null)
                {
                    await UntilAsync("a TCP transfer from the guest", () => transfer.Bytes > 20_000, 60, cancelled).ConfigureAwait(false);
                }
                long transferred = transfer?.Bytes ?? 0;
                Say($"the guest counts ({counter.Last}), lag {before.LagMs.ToString(CultureInfo.InvariantCulture)} ms; killing A with SIGKILL");
                a.Kill();
                double killed = Clock;
                DemoResult result = await AwaitFailoverAsync(b, killed, before.LagMs, cancelled).ConfigureAwait(false);
                if (protectAgain)
                {
                    result = result with { ProtectedAgain = await ProtectAgainAsync(files, wanted[2], b, cancelled).ConfigureAwait(false) };
                }
                string? diskFault = guest.CheckDisk(disk, counter.Last);
                if (transfer is not null)
                {
                    long sofar = transfer.Bytes;
                    await UntilAsync("the TCP transfer to go on", () => transfer.Bytes > sofar + 20_000, 60, cancelled).ConfigureAwait(false);
                }
                await following.CancelAsync().ConfigureAwait(false);
                string? transferFault = transfer is null ? null : await transfer.VerdictAsync().ConfigureAwait(false);
                await Task.WhenAny(follow).ConfigureAwait(false);
                result = result with { BytesLost = follower.LostBytes, Counted = counter.Last, DiskFault = diskFault,
                    Transfer = transfer is null ? null : transferFault ?? string.Create(CultureInfo.InvariantCulture, $"{transfer.Bytes} bytes over one connection, {transferred} of them from A; the hash is right"),
                };
                Say("done");
                return result with
                {
                    Fault = counter.Fault ?? diskFault ?? transferFault ?? (follower.LostBytes > 0 ? $"{follower.LostBytes} bytes of the console were lost." : null),
                    TotalSeconds = Math.Round(total.Elapsed.TotalSeconds, 1),
                };
            }
            finally
            {
                nodes.ForEach(node => node.Dispose());
            }
        }

        private async Task<DemoResult> AwaitFailoverAsync(DemoNode b, double killed, double lag, CancellationToken cancelled)
        {
            int at = counter.Last;
            await UntilAsync("B to go live", () => counter.Last > at + 20, 60, cancelled).ConfigureAwait(false);
            ReplicaStatusLine after = await StatusAsync(b, cancelled).ConfigureAwait(false);
            FailoverLine failover = after.Failover ?? throw new CommandFailedException("B counts on without having gone live.");
            Say($"B is live, the guest counts on ({counter.Last})");
            return new DemoResult
            {
                DetectionMs = failover.DetectionMs,
                DrainMs = failover.DrainMs,
                ArbiterMs = failover.ArbiterMs,
                GoLiveMs = failover.GoLiveMs,
                TotalOutageMs = Math.Round(counter.LongestGapAround(killed), 1),
                LagMs = lag,
                OutputsResent = failover.OutputsResent,
                DiskRequestsReissued = failover.DiskRequestsReissued,
                TimeoutMs = timeoutMs,
                Guest = guest.Name,
            };
        }

        private async Task<string> ProtectAgainAsync(ClusterFiles files, ClusterNode third, DemoNode b, CancellationToken cancelled)
        {
            Say("starting the host C for a new backup");
            DemoNode c = await DemoNode.StartAsync(files, third, cancelled).ConfigureAwait(false);
            nodes.Add(c);
            await ProtectAsync(b, c, cancelled).ConfigureAwait(false);
            return $"by {c.Name}, the guest counts on ({counter.Last})";
        }

        private async Task ProtectAsync(DemoNode primary, DemoNode backup, CancellationToken cancelled)
        {
            Say($"copying the running guest to {backup.Name}");
            await ControlClient.AskAsync(primary.Socket, new ControlRequest("protect", Vm, Node: backup.Name), cancelled).ConfigureAwait(false);
            var patience = Stopwatch.StartNew();
            while (true)
            {
                ReplicaStatusLine line = await StatusAsync(primary, cancelled).ConfigureAwait(false);
                ReplicaStatusLine? other = (await ControlClient.ListAsync([backup.Socket], cancelled).ConfigureAwait(false)).Find(replica => replica.Vm == Vm);
                if (line.Protected && other is { Role: "backup" })
                {
                    Say($"protected by {backup.Name} ({line.CopyState}, paused {line.CopyPauseMs?.ToString(CultureInfo.InvariantCulture)} ms)");
                    return;
                }
                if (patience.Elapsed > TimeSpan.FromSeconds(60) || line.Role == "ended" || (line.Role == "solo" && patience.Elapsed > TimeSpan.FromSeconds(2)))
                {
                    throw new CommandFailedException($"{primary.Name} is {line.Role} and not protected by {backup.Name}; with --keep the logs are kept.");
                }
                await Task.Delay(50, cancelled).ConfigureAwait(false);
            }
        }

        private Task CountOnAsync(int numbers, CancellationToken cancelled)
        {
            int until = counter.Last + numbers;
            return UntilAsync("the guest to count on", () => counter.Last >= until, 60, cancelled);
        }

        private static async Task<ReplicaStatusLine> StatusAsync(DemoNode node, CancellationToken cancelled) =>
            (await ControlClient.AskAsync(node.Socket, new ControlRequest("list"), cancelled).ConfigureAwait(false)).Replicas?.FirstOrDefault(line => line.Vm == Vm)
            ?? throw new CommandFailedException($"{node.Name} has no replica of the guest.");

        private static async Task UntilAsync(string what, Func<bool> reached, int seconds, CancellationToken cancelled)
        {
            var patience = Stopwatch.StartNew();
            while (!reached())
            {
                if (patience.Elapsed.TotalSeconds > seconds)
                {
                    throw new CommandFailedException($"Waited {seconds} s in vain for {what}; with --keep the logs are kept.");
                }
                await Task.Delay(10, cancelled).ConfigureAwait(false);
            }
        }

        private void Say(string line) => say(string.Create(CultureInfo.InvariantCulture, $"{total.Elapsed.TotalSeconds,5:F1} s  {line}"));

        /// <summary>The lease ends before the timeout whatever the clocks' drift, and pauses that count are half of it.</summary>
        private string Timing() => string.Create(CultureInfo.InvariantCulture,
            $"ftakka.ft {{ failure-timeout = {timeoutMs}ms, lease = {timeoutMs * 5 / 6}ms, pause-guard = {timeoutMs / 2}ms, heartbeat-interval = {Math.Max(10, timeoutMs / 6)}ms, channel-timeout = {timeoutMs * 5}ms }}\nftakka.node.allowed-paths = [ \"{folder}\" ]\n");
    }
}

/// <summary>What <c>--json</c> prints; times in milliseconds. The time to go live includes the arbiter's answer.</summary>
internal sealed record DemoFigures(double DetectionMs, double DrainMs, double GoLiveMs, double TotalOutageMs, double LagMs, int OutputsResent, ulong BytesLost, string Guest);

/// <summary>What the demo measured; times in milliseconds.</summary>
internal sealed record DemoResult
{
    /// <summary>From the primary's last message to the suspicion.</summary>
    public double DetectionMs { get; init; }

    /// <summary>Replay of what had been received.</summary>
    public double DrainMs { get; init; }

    /// <summary>The arbiter's answer.</summary>
    public double ArbiterMs { get; init; }

    /// <summary>Opening devices until the machine ran.</summary>
    public double GoLiveMs { get; init; }

    /// <summary>From the kill to the next number on the console, or the longest wait soon after.</summary>
    public double TotalOutageMs { get; init; }

    /// <summary>Execution lag before the kill.</summary>
    public double LagMs { get; init; }

    /// <summary>Outputs handed to devices again.</summary>
    public int OutputsResent { get; init; }

    /// <summary>Disk requests issued again.</summary>
    public int DiskRequestsReissued { get; init; }

    /// <summary>Console bytes that no node had any more.</summary>
    public ulong BytesLost { get; init; }

    /// <summary>The guest.</summary>
    public string Guest { get; init; } = "";

    /// <summary>Configured silence.</summary>
    public int TimeoutMs { get; init; }

    /// <summary>Newest number on the console.</summary>
    public int Counted { get; init; }

    /// <summary>What is wrong with the disk; null if nothing.</summary>
    public string? DiskFault { get; init; }

    /// <summary>The transfer that spanned the failover; null without a network.</summary>
    public string? Transfer { get; init; }

    /// <summary>The new backup, if one was asked for.</summary>
    public string? ProtectedAgain { get; init; }

    /// <summary>What went wrong; null if nothing did.</summary>
    public string? Fault { get; init; }

    /// <summary>How long the demo took.</summary>
    public double TotalSeconds { get; init; }
}
