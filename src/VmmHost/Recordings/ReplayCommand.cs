using System.CommandLine;
using FtAkka.GdbStub;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Recordings;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Recordings;

/// <summary><c>ftakka replay</c>: executes a recording again, instruction by instruction.</summary>
public sealed class ReplayCommand : ICommandModule
{
    private readonly Argument<string> folder = new("DIR") { Description = "Folder of the recording." };

    private readonly Option<ulong?> from = InstructionCount.Option("--from", "Start at this icount: from the keyframe before it, silently up to it.");

    private readonly Option<ulong?> to = InstructionCount.Option("--to", "Stop at this icount. Default: at the end of the recording.");

    private readonly Option<bool> console = new("--console") { Description = "Print what the guest wrote to its consoles, to standard output." };

    private readonly Option<bool> verify = new("--verify")
    {
        Description = "Compare the whole state with every keyframe on the way, in addition to the digests.",
    };

    private readonly Option<bool> fullDigest = new("--full-digest") { Description = "At the end print a digest over all of RAM." };

    private readonly Option<ulong?> extraStops = new("--extra-stops")
    {
        Description = "Stop and go on at random instructions, drawn from this seed: nothing may come of it.",
        HelpName = "SEED",
    };

    private readonly Option<int?> gdb = new("--gdb")
    {
        Description = "Wait for gdb on this port of the loopback (0: a free one), at --from: 'target remote :PORT'. Goes forward and back.",
        HelpName = "PORT",
    };

    private readonly Option<string?> stats = new("--stats")
    {
        Description = "Write statistics of the replay to this file, as JSON.",
        HelpName = "FILE",
    };

    /// <inheritdoc/>
    public string Path => "replay";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command(
            "replay", "Execute a recording again, checking at each digest that it is the same execution. Needs neither disks nor network. Fails if it is not.")
        {
            folder, from, to, console, verify, fullDigest, extraStops, gdb, stats,
        };
        command.SetAction((parsed, cancelled) =>
        {
            try
            {
                return Task.FromResult(Replay(terminal, parsed, cancelled));
            }
            catch (Exception failure) when (failure is RecordingException or GdbPortException)
            {
                throw new CommandFailedException(failure.Message, failure);
            }
        });
        return command;
    }

    private int Replay(Terminal terminal, ParseResult parsed, CancellationToken cancelled)
    {
        RecordingReader recording = RecordingReader.Open(parsed.GetRequiredValue(folder));
        foreach (string problem in recording.Problems)
        {
            terminal.Error.MarkupLineInterpolated($"[yellow]{problem}[/]");
        }
        var options = new ReplayOptions
        {
            From = parsed.GetValue(from) ?? recording.Keyframes[0].Icount,
            To = parsed.GetValue(to) ?? ulong.MaxValue,
            Verify = parsed.GetValue(verify),
            ExtraStopsSeed = parsed.GetValue(extraStops),
        };
        if (options.From > options.To)
        {
            throw new CommandFailedException($"--from {options.From} lies behind --to {options.To}.");
        }
        if (parsed.GetValue(gdb) is { } port)
        {
            Action<MachineEffect>? show = parsed.GetValue(console) ? effect => Write(Console.OpenStandardOutput(), effect) : null;
            ReplayDebugging.Run(recording, options.From, port, show, terminal.Progress, cancelled);
            return ExitCode.Ok;
        }
        using Stream? output = parsed.GetValue(console) ? Console.OpenStandardOutput() : null;
        using var run = new ReplayRun(recording, options)
        {
            Output = output is null ? null : effect => Write(output, effect),
            Progress = terminal.Progress,
        };
        ReplayOutcome outcome = run.Run(cancelled);
        output?.Flush();
        MachineDigest? digest = parsed.GetValue(fullDigest) ? run.Machine.ComputeFullDigest() : null;
        Report(terminal, outcome, digest);
        if (parsed.GetValue(stats) is { } file)
        {
            ReplayStatistics.Of(outcome, digest).Write(file);
        }
        cancelled.ThrowIfCancellationRequested();
        if (outcome.Failure is { } failure)
        {
            throw new CommandFailedException(failure);
        }
        return ExitCode.Ok;
    }

    private static void Write(Stream output, MachineEffect effect)
    {
        if (effect is ConsoleOutput bytes)
        {
            output.Write(bytes.Bytes.AsSpan());
        }
    }

    private static void Report(Terminal terminal, ReplayOutcome outcome, MachineDigest? digest)
    {
        double mips = outcome.Elapsed > TimeSpan.Zero ? outcome.Instructions / outcome.Elapsed.TotalSeconds / 1e6 : 0;
        terminal.Progress(
            $"replayed {ReadableCount.Of(outcome.Instructions)} instructions in {outcome.Elapsed.TotalSeconds:f2} s ({mips:f0} M/s), "
            + $"to icount {ReadableCount.Of(outcome.Icount)}: {outcome.DigestsChecked} digests and {outcome.KeyframesCompared} keyframes equal; {outcome.End}");
        if (outcome.Tail is { } tail)
        {
            terminal.Error.MarkupLineInterpolated($"[yellow]{tail.ToString()}[/]");
        }
        if (digest is { } full)
        {
            terminal.Output.WriteLine($"icount {full.Icount} cpu {full.Cpu:x16} devices {full.Devices:x16} memory {full.Memory:x16}");
        }
    }
}
