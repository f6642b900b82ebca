using System.CommandLine;
using FtAkka.DeviceActors.Consoles;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka vm console</c>: the serial console of a VM, wherever it is live.</summary>
public sealed class VmConsoleCommand : ICommandModule
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public string Path => "vm console";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Argument<string> vm = VmCommandOptions.Vm();
        var command = new Command("console", "Attach to the console of a VM, and again after a failover. On a terminal, Ctrl-A X leaves.") { vm };
        command.SetAction((parsed, cancelled) => RunAsync(terminal, parsed.GetValue(vm)!, cancelled));
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, string vm, CancellationToken cancelled)
    {
        await ControlClient.FindLiveAsync(ControlClient.Sockets(), vm, cancelled).ConfigureAwait(false);
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
        var follower = new ConsoleFollower(ControlClient.Sockets, vm);
        using var console = new StandardConsole();
        using StreamConsoleLink link = console.Open();
        Task typing = TypeAsync(link, follower, left);
        Stream output = Console.OpenStandardOutput();
        try
        {
            await follower.FollowAsync(bytes =>
            {
                output.Write(bytes);
                output.Flush();
            }, Patience, left.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancelled.IsCancellationRequested)
        {
            // The person left.
        }
        await left.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(typing, Task.Delay(100, CancellationToken.None)).ConfigureAwait(false);
        if (follower.LostBytes > 0)
        {
            terminal.Progress($"{follower.LostBytes} bytes were older than what the nodes keep");
        }
        return ExitCode.Ok;
    }

    private static async Task TypeAsync(StreamConsoleLink link, ConsoleFollower follower, CancellationTokenSource left)
    {
        EscapeFilter? escape = Console.IsInputRedirected ? null : new EscapeFilter();
        while (!left.IsCancellationRequested)
        {
            ConsoleLinkInput typed = await link.ReceiveAsync().WaitAsync(left.Token).ConfigureAwait(false);
            bool leave = false;
            byte[] bytes = [.. escape?.Filter(typed.Bytes.AsSpan(), out leave) ?? typed.Bytes];
            await follower.TypeAsync(bytes, left.Token).ConfigureAwait(false);
            if (leave)
            {
                await left.CancelAsync().ConfigureAwait(false);
            }
        }
    }
}
