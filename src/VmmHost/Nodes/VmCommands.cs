using System.CommandLine;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Options of the verbs that speak with nodes.</summary>
internal static class VmCommandOptions
{
    /// <summary>Name of a VM.</summary>
    public static Argument<string> Vm() => new("VM") { Description = "Name of the VM." };

    /// <summary>The node to ask; without it the one on which the VM is live.</summary>
    public static Option<string?> Control() => new("--control")
    {
        Description = "Control socket of the node to ask. Default: of the nodes on this host, the one on which the VM is live.", HelpName = "PATH",
    };

    /// <summary>Wait for the backup.</summary>
    public static Option<bool> Wait() => new("--wait") { Description = "Wait until the VM is protected, and say how far the copy is. Exits with 1 when the copy failed." };

    /// <summary>Sends a request to the node on which the VM is live, and prints the answer.</summary>
    public static async Task<int> AskLiveAsync(Terminal terminal, string? socket, ControlRequest request, CancellationToken cancelled)
    {
        socket ??= await ControlClient.FindLiveAsync(ControlClient.Sockets(), request.Vm!, cancelled).ConfigureAwait(false);
        ControlAnswer answer = await ControlClient.AskAsync(socket, request, cancelled).ConfigureAwait(false);
        terminal.Output.WriteLine(answer.Text);
        return ExitCode.Ok;
    }
}

/// <summary><c>ftakka vm start</c>.</summary>
public sealed class VmStartCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "vm start";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var file = new Argument<string>("VM.hocon") { Description = "File that describes the VM." };
        var on = new Option<string>("--on") { Description = "Node that runs it.", HelpName = "NODE", Required = true };
        var backup = new Option<string?>("--backup") { Description = "Node that gets its backup at once.", HelpName = "NODE" };
        Option<bool> wait = VmCommandOptions.Wait();
        var takeOver = new Option<bool>("--take-over") { Description = "Start although the arbiter knows an owner that did not end in order, and that cannot be asked. Only when it is certain that the VM runs nowhere." };
        var acceptOldDisk = new Option<bool>("--accept-old-disk") { Description = "Start although another node has newer images of the disks that are not shared. What was written since is lost." };
        var command = new Command("start", "Start a VM on a node.") { file, on, backup, wait, takeOver, acceptOldDisk };
        command.SetAction(async (parsed, cancelled) =>
        {
            var request = new ControlRequest("start", File: System.IO.Path.GetFullPath(parsed.GetValue(file)!), Node: parsed.GetValue(backup), TakeOver: parsed.GetValue(takeOver),
                AcceptOldDisk: parsed.GetValue(acceptOldDisk));
            string socket = NodeSettings.DefaultSocket(parsed.GetValue(on)!);
            ControlAnswer answer = await ControlClient.AskAsync(socket, request, cancelled).ConfigureAwait(false);
            terminal.Output.WriteLine(answer.Text);
            if (parsed.GetValue(wait) && request.Node is not null)
            {
                await ProtectionWait.UntilProtectedAsync(terminal, socket, answer.Vm!, begun: false, cancelled).ConfigureAwait(false);
            }
            return ExitCode.Ok;
        });
        return command;
    }
}

/// <summary><c>ftakka vm protect</c>.</summary>
public sealed class VmProtectCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "vm protect";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Argument<string> vm = VmCommandOptions.Vm();
        var backup = new Option<string>("--backup") { Description = "Node that gets the backup.", HelpName = "NODE", Required = true };
        Option<bool> wait = VmCommandOptions.Wait();
        Option<string?> control = VmCommandOptions.Control();
        var command = new Command("protect", "Copy a running VM to another node, which then is its backup.") { vm, backup, wait, control };
        command.SetAction(async (parsed, cancelled) =>
        {
            string name = parsed.GetValue(vm)!;
            string socket = parsed.GetValue(control) ?? await ControlClient.FindLiveAsync(ControlClient.Sockets(), name, cancelled).ConfigureAwait(false);
            await VmCommandOptions.AskLiveAsync(terminal, socket, new ControlRequest("protect", name, Node: parsed.GetValue(backup)), cancelled).ConfigureAwait(false);
            if (parsed.GetValue(wait))
            {
                await ProtectionWait.UntilProtectedAsync(terminal, socket, name, begun: true, cancelled).ConfigureAwait(false);
            }
            return ExitCode.Ok;
        });
        return command;
    }
}

/// <summary>A verb that does one thing to a live VM.</summary>
public abstract class VmVerb(string name, string description) : ICommandModule
{
    /// <inheritdoc/>
    public string Path => $"vm {name}";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Argument<string> vm = VmCommandOptions.Vm();
        Option<string?> control = VmCommandOptions.Control();
        var command = new Command(name, description) { vm, control };
        command.SetAction((parsed, cancelled) => VmCommandOptions.AskLiveAsync(terminal, parsed.GetValue(control), new ControlRequest(name, parsed.GetValue(vm)), cancelled));
        return command;
    }
}

/// <summary><c>ftakka vm unprotect</c>.</summary>
public sealed class VmUnprotectCommand() : VmVerb("unprotect", "Let a VM go on without its backup.");

/// <summary><c>ftakka vm failover</c>.</summary>
public sealed class VmFailoverCommand() : VmVerb("failover", "Let the backup of a VM take over, without loss and without repetition.");

/// <summary><c>ftakka vm stop</c>.</summary>
public sealed class VmStopCommand() : VmVerb("stop", "Switch a VM off, as by its power button held down.");

/// <summary><c>ftakka vm reset</c>.</summary>
public sealed class VmResetCommand() : VmVerb("reset", "Press a VM's reset button. The VM ends; start it anew.");

/// <summary><c>ftakka vm nmi</c>.</summary>
public sealed class VmNmiCommand() : VmVerb("nmi", "Send a VM a non-maskable interrupt.");
