using System.CommandLine;
using System.Globalization;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka vm list</c>: every replica on the nodes of this host.</summary>
public sealed class VmListCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "vm list";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        var command = new Command("list", "List the replicas on the nodes of this host.") { json };
        command.SetAction(async (parsed, cancelled) =>
        {
            List<ReplicaStatusLine> lines = await ControlClient.ListAsync(ControlClient.Sockets(), cancelled, noticed: terminal.Progress).ConfigureAwait(false);
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(lines);
                return ExitCode.Ok;
            }
            var table = new Table { Border = TableBorder.Simple };
            table.AddColumns("VM", "node", "role", "generation", "peer", "icount");
            foreach (ReplicaStatusLine line in lines)
            {
                table.AddRow(line.Vm, line.Node, line.Role + line.ProtectionText,
                    line.Generation.ToString(CultureInfo.InvariantCulture), line.Peer ?? "", line.Icount.ToString("N0", CultureInfo.InvariantCulture));
            }
            terminal.Out.Write(table);
            return ExitCode.Ok;
        });
        return command;
    }
}

/// <summary><c>ftakka vm status</c>: everything known of one VM's replicas.</summary>
public sealed class VmStatusCommand : ICommandModule
{
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    public string Path => "vm status";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Argument<string> vm = VmCommandOptions.Vm();
        Option<bool> json = ReportOptions.Json();
        var watch = new Option<bool>("--watch") { Description = "Print again every second, until Ctrl-C." };
        var command = new Command("status", "Show the replicas of a VM: roles, lag, buffers, digests, the last failover.") { vm, watch, json };
        command.SetAction(async (parsed, cancelled) =>
        {
            while (true)
            {
                await ShowAsync(terminal, parsed.GetValue(vm)!, parsed.GetValue(json), cancelled).ConfigureAwait(false);
                if (!parsed.GetValue(watch))
                {
                    return ExitCode.Ok;
                }
                await Task.Delay(WatchInterval, cancelled).ConfigureAwait(false);
            }
        });
        return command;
    }

    private static async Task ShowAsync(Terminal terminal, string vm, bool json, CancellationToken cancelled)
    {
        List<ReplicaStatusLine> lines = await ControlClient.ListAsync(ControlClient.Sockets(), cancelled, noticed: terminal.Progress).ConfigureAwait(false);
        lines.RemoveAll(line => line.Vm != vm);
        if (json)
        {
            terminal.WriteJson(lines);
            return;
        }
        if (lines.Count == 0)
        {
            throw new CommandFailedException($"No node of this host has a replica of {vm}.");
        }
        foreach (ReplicaStatusLine line in lines)
        {
            terminal.Output.WriteLine(Text(line));
        }
    }

    private static string Text(ReplicaStatusLine line)
    {
        if (line.End is not null)
        {
            return $"{line.Node}: ended: {line.End}";
        }
        var parts = new List<string>
        {
            $"{line.Node}: {line.Role}{line.ProtectionText}, generation {line.Generation}",
            string.Create(CultureInfo.InvariantCulture, $"icount {line.Icount:N0}"),
            string.Create(CultureInfo.InvariantCulture, $"log {line.LogEnd} recorded or received, {line.Acknowledged} acknowledged, {line.Executed} executed, {line.LogBytes} bytes in {line.LogEntries} entries kept, {line.LogMbitPerSecond:0.####} Mbit/s"),
            string.Create(CultureInfo.InvariantCulture, $"lag {line.LagMs} ms, held outputs {line.HeldOutputs} of {line.OutputsUnderWay} under way, CPU share {line.SharePercent} %"),
        };
        if (line.OutageExpectedMs is { } outage)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"if {line.Node} died now, clients would wait for about {outage} ms"));
        }
        if (line.OutputsDelayed > 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture,
                $"log {line.LogBytesSent:N0} bytes sent, {line.OutputsDelayed:N0} outputs waited, half of them at most {line.OutputDelayMedianMs} ms, 99 of 100 at most {line.OutputDelayP99Ms} ms"));
        }
        if (line.DigestState is not null)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"digests: {line.DigestState}{(line.DigestsChecked > 0 ? $", {line.DigestsChecked} compared, the last at icount {line.LastDigestIcount:N0}" : "")}"));
        }
        if (line.Reconnects > 0 || line.ArbiterFailures > 0)
        {
            parts.Add($"channel resumed {line.Reconnects} times; the arbiter has not answered {line.ArbiterFailures} times");
        }
        if (line.Stopped is not null)
        {
            parts.Add($"stopped: {line.Stopped}");
        }
        if (line.CopyState is not null)
        {
            parts.Add($"copy: {line.CopyState}, {string.Create(CultureInfo.InvariantCulture, $"{line.CopyBytes / 1e6:0.0} MB, {line.CopyMbPerSecond ?? 0} MB/s")}{(line.CopyPauseMs is { } pause ? string.Create(CultureInfo.InvariantCulture, $", paused {pause} ms") : "")}");
        }
        if (line.DiskState is not null)
        {
            parts.Add($"own disks: {line.DiskState}");
        }
        if (line.Unable is not null)
        {
            parts.Add($"the backup could not go live: {line.Unable}");
        }
        if (line.LastError is not null)
        {
            parts.Add($"last error: {line.LastError}");
        }
        if (line.NodeGaps > 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"the node stood still {line.NodeGaps} times, for {line.NodeGapLongestMs} ms at most: its host has too little CPU, or was paused"));
        }
        if (line.Failover is { } failover)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"failover: detection {failover.DetectionMs} ms, drain {failover.DrainMs} ms, arbiter {failover.ArbiterMs} ms, go live {failover.GoLiveMs} ms, outputs resent {failover.OutputsResent}"));
        }
        return string.Join("\n  ", parts);
    }
}
