using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Guests;

/// <summary><c>ftakka guest fetch</c>: the stock Debian kernel and an initramfs for it, without root.</summary>
public sealed partial class GuestFetchCommand : ICommandModule
{
    private readonly Option<string[]> packages = new("--with")
    {
        Description = "Add a Debian package and the libraries it needs. May be given more than once.",
        HelpName = "PACKAGE",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string[]> modules = new("--module")
    {
        Description = "Add a kernel module and load it at boot. May be given more than once.",
        HelpName = "NAME",
    };

    private readonly Option<string[]> files = new("--file")
    {
        Description = "Add a file of this host, under /usr/local/bin or where GUEST says. May be given more than once.",
        HelpName = "HOST[:GUEST]",
    };

    private readonly Option<bool> bench = new("--bench")
    {
        Description = "Build the workloads of 'bench linux' with gcc and add them.",
    };

    private readonly Option<string?> name = new("--name")
    {
        Description = "Name of this initramfs: the file is initramfs-NAME.cpio.gz. Default: none for the plain one, 'bench' with --bench, else 'extra'.",
        HelpName = "NAME",
    };

    private readonly Option<string> kernelPackage = new("--kernel-package")
    {
        Description = "Kernel package to take.",
        DefaultValueFactory = _ => GuestFetchOptions.CloudKernel,
        HelpName = "PACKAGE",
    };

    private readonly Option<string?> mirror = new("--mirror")
    {
        Description = "Debian mirror to use in place of this host's package sources.",
        HelpName = "URL",
    };

    private readonly Option<string> suite = new("--suite")
    {
        Description = "Debian release to take from the mirror.",
        DefaultValueFactory = _ => "bookworm",
        HelpName = "NAME",
    };

    private readonly Option<string?> folder = new("--folder")
    {
        Description = "Folder for the files. Default: $XDG_CACHE_HOME/ftakka/guest or ~/.cache/ftakka/guest.",
        HelpName = "PATH",
    };

    private readonly Option<bool> force = new("--force")
    {
        Description = "Fetch and build again even when everything is in place; takes a newer kernel if there is one.",
    };

    /// <summary>What <c>--json</c> prints: paths of the files.</summary>
    /// <param name="Kernel">The kernel that boots fastest.</param>
    /// <param name="BzImage">The packed kernel as Debian ships it.</param>
    /// <param name="Vmlinux">The unpacked kernel, or null when its packing could not be read.</param>
    /// <param name="Initramfs">The initial root.</param>
    public sealed record Report(string Kernel, string BzImage, string? Vmlinux, string Initramfs);

    /// <inheritdoc/>
    public string Path => "guest fetch";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        name.Validators.Add(MustBeFileName);
        files.Validators.Add(MustBeFilePair);
        var command = new Command("fetch", "Fetch the Debian cloud kernel through apt, without root, and build an initramfs with busybox.")
        {
            packages, modules, files, bench, name, kernelPackage, mirror, suite, folder, force, json,
        };
        command.SetAction(parsed => Run(terminal, OptionsOf(parsed), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Terminal terminal, GuestFetchOptions options, bool json)
    {
        try
        {
            string initramfs = new GuestFetch(options, terminal.Progress).Run();
            GuestFolder fetched = options.Folder;
            string kernel = fetched.PreferredKernel!;
            if (json)
            {
                terminal.WriteJson(new Report(kernel, fetched.BzImage, File.Exists(fetched.Vmlinux) ? fetched.Vmlinux : null, initramfs));
            }
            else
            {
                terminal.Output.WriteLine($"kernel     {kernel}");
                terminal.Output.WriteLine($"initramfs  {initramfs}");
                terminal.Output.WriteLine($"boot it    ./ftakka run --kernel {kernel} --initrd {initramfs} --append 'console=ttyS0 quiet'");
            }

            return ExitCode.Ok;
        }
        catch (GuestKitException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
    }

    private GuestFetchOptions OptionsOf(ParseResult parsed)
    {
        string[] withPackages = parsed.GetValue(packages) ?? [];
        string[] withModules = parsed.GetValue(modules) ?? [];
        string[] withFiles = parsed.GetValue(files) ?? [];
        bool withBench = parsed.GetValue(bench);
        string byDefault = withBench ? LinuxWorkloads.Variant : withPackages.Length + withModules.Length + withFiles.Length > 0 ? "extra" : "";
        return new GuestFetchOptions
        {
            Folder = parsed.GetValue(folder) is { } path ? new GuestFolder(System.IO.Path.GetFullPath(path)) : GuestFolder.Default,
            Variant = parsed.GetValue(name) ?? byDefault,
            KernelPackage = parsed.GetValue(kernelPackage)!,
            Packages = withPackages,
            Modules = withModules,
            Files = [.. withFiles.Select(FilePair)],
            Programs = withBench ? [LinuxBenchProgram.ForInitramfs] : [],
            Source = parsed.GetValue(mirror) is { } url ? new DebianSource(url, parsed.GetValue(suite)!) : null,
            Force = parsed.GetValue(force),
        };
    }

    private static (string HostPath, string GuestPath) FilePair(string text)
    {
        string[] parts = text.Split(':', 2);
        return (parts[0], parts.Length == 2 ? parts[1] : "/usr/local/bin/" + System.IO.Path.GetFileName(parts[0]));
    }

    private void MustBeFileName(OptionResult result)
    {
        if (result.GetValue(name) is { } text && !VariantName().IsMatch(text))
        {
            result.AddError($"--name must be letters, digits, '.', '_', '+' or '-', not '{text}'");
        }
    }

    private void MustBeFilePair(OptionResult result)
    {
        foreach (string text in result.GetValue(files) ?? [])
        {
            (string hostPath, string guestPath) = FilePair(text);
            if (!File.Exists(hostPath))
            {
                result.AddError($"--file: there is no file '{hostPath}'");
            }
            else if (guestPath.Trim('/').Length == 0 || guestPath.Split('/').Contains(".."))
            {
                result.AddError($"--file: '{guestPath}' is no place for a file in the guest");
            }
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
    private static partial Regex VariantName();
}
