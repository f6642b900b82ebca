using System.CommandLine;
using System.Reflection;
using System.Security.Cryptography;
using FtAkka.Actors.Vms;
using FtAkka.Cpu.Architecture;
using FtAkka.Recordings;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Recordings;

/// <summary><c>ftakka record</c>: a run like <c>ftakka run</c>'s, by the same actors, whose every input is written down.</summary>
public sealed class RecordCommand : ICommandModule
{
    /// <summary>Instructions between digests when nothing else is asked for.</summary>
    internal const ulong DefaultDigestEvery = 500_000_000;

    /// <summary>Instructions between keyframes when nothing else is asked for: a few seconds of replay.</summary>
    internal const ulong DefaultKeyframeEvery = 5_000_000_000;

    private readonly VmOptions vmOptions = new(new Dictionary<string, string>
    {
        ["--digest-every"] = "Instructions between digests, which a replay checks; 0 for none but the last. Default: 500M.",
        ["--max-icount"] = "End the recording after N instructions.",
    });

    private readonly Option<string> output = new("--output", "-o")
    {
        Description = "Folder for the recording; made if it is not there.",
        HelpName = "DIR",
        Required = true,
    };

    private readonly Option<ulong?> keyframeEvery = InstructionCount.Option(
        "--keyframe-every", "Instructions between snapshots, from which a replay can start; 0 for none but the first. Default: 5G.");

    private readonly Option<RecordingSync> sync = new("--sync")
    {
        Description = "When written data is forced to the disk: never, at each keyframe, or always.",
        DefaultValueFactory = _ => RecordingSync.Keyframe,
    };

    /// <inheritdoc/>
    public string Path => "record";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("record", "Run a VM and record it, so that it can be replayed instruction by instruction ('ftakka replay').");
        vmOptions.AddTo(command);
        foreach (Option option in new Option[] { output, keyframeEvery, sync })
        {
            command.Options.Add(option);
        }
        command.SetAction((parsed, cancelled) => RecordAsync(terminal, parsed, cancelled));
        return command;
    }

    private async Task<int> RecordAsync(Terminal terminal, ParseResult parsed, CancellationToken cancelled)
    {
        VmSpec spec = vmOptions.Read(parsed, terminal.Progress);
        using var console = new StandardConsole();
        using VmComposition vm = VmComposition.Open(spec, console.Open);
        RecordingManifest manifest = Describe(
            spec, vm.Definition, spec.DigestEvery ?? DefaultDigestEvery, parsed.GetValue(keyframeEvery) ?? DefaultKeyframeEvery);
        string folder = parsed.GetRequiredValue(output);
        try
        {
            using RecordingWriter writer = RecordingWriter.Create(folder, manifest, parsed.GetValue(sync));
            VmDefinition definition = vm.Definition with
            {
                Machine = vm.Definition.Machine with
                {
                    IcountMax = spec.Limits.IcountMax ?? 0,
                    CreateRunner = machine => new RecordingRunner(machine, writer, manifest.DigestEvery, manifest.KeyframeEvery),
                },
            };
            VmProtocol.Ended ended = await RunCommand.ExecuteAsync(definition, vm, _ => { }, terminal, cancelled).ConfigureAwait(false);
            console.Dispose();
            writer.Close();
            if (spec.Stats is { } file && ended.Report is { } report)
            {
                RunStatistics.Of(ended, report, manifest.Machine.RngSeed, []).Write(file);
            }
            terminal.Progress($"recorded {ReadableCount.Of(ended.Report?.Icount ?? 0)} instructions in {folder}: "
                + $"{writer.LogBytes / 1e6:f1} MB of log, {writer.SnapshotBytes / 1e6:f1} MB of snapshots");
            cancelled.ThrowIfCancellationRequested();
            return RunCommand.Conclude(terminal, ended);
        }
        catch (RecordingException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
    }

    private static RecordingManifest Describe(VmSpec spec, VmDefinition definition, ulong digestEvery, ulong keyframeEvery) => new()
    {
        Version = RecordingManifest.FormatVersion,
        Recording = Guid.NewGuid(),
        Vm = spec.Name,
        Program = typeof(RecordCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown",
        StartedAt = DateTimeOffset.UtcNow,
        CpuModel = spec.CpuModel,
        HostCpu = HostCpu.Model(),
        Machine = definition.Machine.Config,
        KernelSha256 = Convert.ToHexStringLower(SHA256.HashData(definition.Machine.Kernel.Span)),
        InitrdSha256 = definition.Machine.Initrd.IsEmpty ? null : Convert.ToHexStringLower(SHA256.HashData(definition.Machine.Initrd.Span)),
        DigestEvery = digestEvery,
        KeyframeEvery = keyframeEvery,
    };
}
