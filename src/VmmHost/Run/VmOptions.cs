using System.CommandLine;
using System.CommandLine.Parsing;
using FtAkka.Cpu.Architecture;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Run;

/// <summary>The flags that describe a VM, and the file they override.</summary>
internal sealed class VmOptions
{
    private readonly Argument<string?> file = new("VM.hocon")
    {
        Description = "File that describes the VM; flags override what it says.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string?> name = Word("--name", "NAME", "Name of the VM; MAC addresses are derived from it. Default: the file's name, or vm.");
    private readonly Option<string?> kernel = Word("--kernel", "PATH", "Linux kernel: bzImage, or ELF vmlinux. Default: the one of 'guest fetch'.");
    private readonly Option<string?> initrd = Word("--initrd", "PATH", "Initial RAM disk.");
    private readonly Option<string?> append = Word("--append", "TEXT", "Words to append to the kernel's command line.");
    private readonly Option<string?> memory = Word("--memory", "SIZE", "RAM, such as 256M or 1G.");
    private readonly Option<string[]> disks = Words("--disk", "PATH[,format=raw][,readonly][,shared=no[,backup-reads=yes]]", "Disk image or block device. May be given more than once.");
    private readonly Option<string[]> nets = Words("--net", "tap:NAME|unix:PATH|none", "Network card and what it is connected to, and [,mac=ADDRESS][,mtu=BYTES][,listen]. May be given more than once.");
    private readonly Option<string?> console = Word("--console", "stdio|unix:PATH|file:PATH|none", "Where the serial console is.");

    private readonly Option<string?> virtioConsole = Word(
        "--virtio-console", "stdio|unix:PATH|file:PATH|none", "Where the virtio console (hvc0) is. Default: none, and the guest has no such device.");

    private readonly Option<string?> cpuModel = Word("--cpu-model", "NAME", $"CPU model, such as {CpuModel.V1Name}.");
    private readonly Option<string?> rngSeed = Word("--rng-seed", "N", "Seed of everything random in the guest. Default: a random one.");
    private readonly Option<string?> pace = Word("--pace", "MIPS", "Execute at most this many million instructions per second on average.");

    /// <summary>Adds the flags to a verb.</summary>
    public void AddTo(Command command)
    {
        command.Arguments.Add(file);
        Check(memory, text => SpecText.Bytes("--memory", text));
        Check(console, text => SpecText.Console("--console", text));
        Check(virtioConsole, text => SpecText.Console("--virtio-console", text));
        Check(pace, text => SpecText.Pace("--pace", text));
        Check(rngSeed, text => SpecText.Number("--rng-seed", text));
        CheckEach(disks, text => SpecText.Disk("--disk", text));
        CheckEach(nets, text => SpecText.Nic("--net", text));
        foreach (Option option in new Option[] { name, kernel, initrd, append, memory, disks, nets, console, virtioConsole, cpuModel, rngSeed, pace })
        {
            command.Options.Add(option);
        }
    }

    /// <summary>The VM that file and flags describe together.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="progress">Told what was chosen for the user.</param>
    /// <exception cref="CommandFailedException">The file cannot be read or understood, or there is no kernel.</exception>
    public VmSpec Read(ParseResult parsed, Action<string> progress)
    {
        VmSpec spec = parsed.GetValue(file) is { } path ? ReadFile(path) : new VmSpec();
        spec = spec with
        {
            Name = parsed.GetValue(name) ?? spec.Name,
            Kernel = parsed.GetValue(kernel) ?? spec.Kernel,
            Initrd = parsed.GetValue(initrd) ?? spec.Initrd,
            Append = parsed.GetValue(append) ?? spec.Append,
            MemoryBytes = parsed.GetValue(memory) is { } size ? SpecText.Bytes("--memory", size) : spec.MemoryBytes,
            Disks = parsed.GetValue(disks) is { Length: > 0 } images ? [.. images.Select(text => SpecText.Disk("--disk", text))] : spec.Disks,
            Nics = parsed.GetValue(nets) is { Length: > 0 } cards ? [.. cards.Select(text => SpecText.Nic("--net", text))] : spec.Nics,
            Console = parsed.GetValue(console) is { } place ? SpecText.Console("--console", place) : spec.Console,
            VirtioConsole = parsed.GetValue(virtioConsole) is { } second ? SpecText.Console("--virtio-console", second) : spec.VirtioConsole,
            CpuModel = parsed.GetValue(cpuModel) ?? spec.CpuModel,
            RngSeed = parsed.GetValue(rngSeed) is { } seed ? SpecText.Number("--rng-seed", seed) : spec.RngSeed,
            Limits = parsed.GetValue(pace) is { } mips ? spec.Limits with { PaceMips = SpecText.Pace("--pace", mips) } : spec.Limits,
        };
        return spec.Kernel is null ? WithFetchedKernel(spec, GuestFolder.Default, progress) : spec;
    }

    private static VmSpec ReadFile(string path)
    {
        try
        {
            return VmSpecFile.Parse(File.ReadAllText(path), path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot read {path}: {refused.Message}", refused);
        }
        catch (SpecException wrong)
        {
            throw new CommandFailedException(wrong.Message, wrong);
        }
    }

    private static VmSpec WithFetchedKernel(VmSpec spec, GuestFolder folder, Action<string> progress)
    {
        VmSpec complete = FetchedKernel.Complete(spec, folder)
            ?? throw new CommandFailedException("No kernel was given. Give one with --kernel, or let './ftakka guest fetch' get Debian's.");
        progress($"using the kernel {complete.Kernel}{(spec.Initrd is null && complete.Initrd is { } root ? $" and the initramfs {root}" : "")}");
        return complete;
    }

    private static Option<string?> Word(string name, string help, string description) => new(name) { HelpName = help, Description = description };

    private static Option<string[]> Words(string name, string help, string description) => new(name) { HelpName = help, Description = description };

    private static void Check(Option<string?> option, Action<string> parse) => option.Validators.Add(result => Report(result, () =>
    {
        if (result.GetValueOrDefault<string?>() is { } text)
        {
            parse(text);
        }
    }));

    private static void CheckEach(Option<string[]> option, Action<string> parse) => option.Validators.Add(result => Report(result, () =>
    {
        foreach (string text in result.GetValueOrDefault<string[]>() ?? [])
        {
            parse(text);
        }
    }));

    private static void Report(OptionResult result, Action parse)
    {
        try
        {
            parse();
        }
        catch (SpecException wrong)
        {
            result.AddError(wrong.Message);
        }
    }
}
