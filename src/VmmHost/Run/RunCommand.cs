using System.CommandLine;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.GdbStub;
using FtAkka.Machine.Digest;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Run;

/// <summary><c>ftakka run</c>: one VM without a backup, by the same actors as every other way to run one.</summary>
public sealed class RunCommand : ICommandModule
{
    private readonly VmOptions vmOptions = new();

    private readonly Option<int?> gdb = new("--gdb")
    {
        Description = "Halt before the first instruction and wait for gdb on this port of the loopback (0: a free one): 'target remote :PORT'.",
        HelpName = "PORT",
    };

    /// <inheritdoc/>
    public string Path => "run";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("run", "Run a VM without a backup. On a terminal, Ctrl-A X leaves and Ctrl-A Ctrl-A sends Ctrl-A to the guest.");
        vmOptions.AddTo(command);
        command.Options.Add(gdb);
        command.SetAction((parsed, cancelled) => RunAsync(terminal, parsed, cancelled));
        return command;
    }

    /// <summary>The VM and the run of it that file and flags describe together.</summary>
    internal VmSpec Describe(ParseResult parsed, Action<string> progress) => vmOptions.Read(parsed, progress);

    private async Task<int> RunAsync(Terminal terminal, ParseResult parsed, CancellationToken cancelled)
    {
        VmSpec spec = Describe(parsed, terminal.Progress);
        string? statsFile = spec.Stats;
        var digests = new List<MachineDigest>();
        Action<MachineDigest> digestTaken = statsFile is not null
            ? digests.Add
            : digest => terminal.ErrorOutput.WriteLine($"digest {RunStatistics.Line(digest)}");

        using var console = new StandardConsole();
        using VmComposition vm = VmComposition.Open(spec, console.Open);
        VmDefinition definition = vm.Definition with
        {
            Machine = vm.Definition.Machine with
            {
                DigestEvery = spec.DigestEvery ?? 0,
                IcountMax = spec.Limits.IcountMax ?? 0,
            },
        };
        VmProtocol.Ended ended;
        if (parsed.GetValue(gdb) is { } port)
        {
            using LiveDebugging debugging = Debug(port, terminal.Progress, cancelled);
            definition = definition with { Machine = definition.Machine with { CreateRunner = debugging.Attach } };
            ended = await ExecuteAsync(definition, vm, digestTaken, terminal, debugging.Killed).ConfigureAwait(false);
            if (debugging.WasKilled)
            {
                console.Dispose();
                terminal.Progress("the debugger ended the VM");
                return ExitCode.Ok;
            }
        }
        else
        {
            ended = await ExecuteAsync(definition, vm, digestTaken, terminal, cancelled).ConfigureAwait(false);
        }
        console.Dispose();
        if (statsFile is not null && ended.Report is { } report)
        {
            RunStatistics.Of(ended, report, definition.Machine.Config.RngSeed, digests).Write(statsFile);
        }
        return Conclude(terminal, ended);
    }

    private static LiveDebugging Debug(int port, Action<string> progress, CancellationToken cancelled)
    {
        try
        {
            return new LiveDebugging(port, progress, cancelled);
        }
        catch (GdbPortException refused)
        {
            throw new CommandFailedException(refused.Message, refused);
        }
    }

    /// <summary>Runs the VM to its end; cancelling stops it, and still lets its devices finish.</summary>
    internal static async Task<VmProtocol.Ended> ExecuteAsync(
        VmDefinition definition, VmComposition opened, Action<MachineDigest> digestTaken, Terminal terminal, CancellationToken cancelled)
    {
        using ActorSystem system = HostActorSystem.Start("ftakka");
        var end = new TaskCompletionSource<VmProtocol.Ended>(TaskCreationOptions.RunContinuationsAsynchronously);
        IActorRef observer = system.ActorOf(RunObserver.Props(digestTaken, line => terminal.ErrorOutput.WriteLine($"ftakka: {line}"), end), "observer");
        opened.HandOver();
        IActorRef vm = system.ActorOf(VmActor.Props(StartingNow(definition) with { Observers = [observer] }), "vm");
        using CancellationTokenRegistration stop = cancelled.Register(() => vm.Tell(new MachineProtocol.Stop()));
        using var signals = new EndingSignals(() => vm.Tell(new MachineProtocol.Stop()));
        VmProtocol.Ended ended = await end.Task.ConfigureAwait(false);
        await system.Terminate().ConfigureAwait(false);
        return ended.Reason == MachineEndReason.StartFailed ? ended with { Detail = $"Cannot boot {opened.BootFiles}: {ended.Detail}" } : ended;
    }

    /// <summary>Reading a kernel and starting an actor system take their time, by which the guest's clock would be behind for ever.</summary>
    private static VmDefinition StartingNow(VmDefinition definition)
    {
        TimeSpan sinceBoot = DateTimeOffset.UtcNow - DateTimeOffset.FromUnixTimeSeconds(definition.Machine.Config.BootUnixSeconds);
        return definition with { Machine = definition.Machine with { BootSecondFraction = sinceBoot > TimeSpan.Zero ? sinceBoot : TimeSpan.Zero } };
    }

    /// <summary>Says how a VM ended, as text and exit code.</summary>
    internal static int Conclude(Terminal terminal, VmProtocol.Ended ended)
    {
        string icount = ended.Report is { } report ? $" at icount {report.Icount}" : "";
        switch (ended.Reason)
        {
            case MachineEndReason.PowerOff:
            case MachineEndReason.LeaveRequested:
                return ExitCode.Ok;
            case MachineEndReason.IcountMax:
                terminal.ErrorOutput.WriteLine($"ftakka: stopped{icount}, as --max-icount or the VM's limits asked");
                return ExitCode.Ok;
            case MachineEndReason.Reset:
            case MachineEndReason.Panic:
                terminal.ErrorOutput.WriteLine($"ftakka: {RunObserver.WhatHappened(ended.Reason)}{icount}");
                return ExitCode.GuestCrashed;
            case MachineEndReason.TripleFault:
                terminal.ErrorOutput.WriteLine($"ftakka: triple fault{icount}: the guest crashed, or rebooted that way (reboot=t)");
                return ExitCode.GuestCrashed;
            case MachineEndReason.Stopped:
                throw new OperationCanceledException();
            default:
                throw new CommandFailedException(ended.Detail ?? $"The VM ended: {ended.Reason}.");
        }
    }
}
