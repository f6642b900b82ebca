using System.CommandLine;
using System.CommandLine.Parsing;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Run;

/// <summary>The flags that describe a VM, one for each <see cref="VmSetting"/>, and the file they override.</summary>
internal sealed class VmOptions
{
    private readonly Argument<string?> file = new("VM.hocon")
    {
        Description = "File that describes the VM; flags override what it says.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly (VmSetting Setting, Option Option)[] options;

    /// <summary>For a verb.</summary>
    /// <param name="help">Help of flags that means something else with this verb, by flag.</param>
    public VmOptions(IReadOnlyDictionary<string, string>? help = null) =>
        options = [.. VmSetting.All.Select(setting => (setting, OptionOf(setting, help?.GetValueOrDefault(setting.Flag) ?? setting.Help)))];

    /// <summary>Adds the flags to a verb.</summary>
    public void AddTo(Command command)
    {
        command.Arguments.Add(file);
        foreach ((_, Option option) in options)
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
        foreach ((VmSetting setting, Option option) in options)
        {
            if (parsed.GetResult(option) is { } result)
            {
                spec = setting.Set(spec, Written(setting, result));
            }
        }
        return spec.Kernel is null ? WithFetchedKernel(spec, GuestFolder.Default, progress) : spec;
    }

    private static VmSpec ReadFile(string path)
    {
        try
        {
            return VmSpecFile.Read(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot read the VM's file: {refused.Message}", refused);
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

    private static Option OptionOf(VmSetting setting, string help)
    {
        Option option = setting.IsList ? new Option<string[]>(setting.Flag) : new Option<string>(setting.Flag);
        (option.HelpName, option.Description) = (setting.Form, help);
        option.Validators.Add(result => Check(setting, result));
        return option;
    }

    private static void Check(VmSetting setting, OptionResult result)
    {
        if (result.Tokens.Count == 0)
        {
            return; // the parser itself says that a value is missing
        }
        try
        {
            setting.Set(new VmSpec(), Written(setting, result));
        }
        catch (SpecException wrong)
        {
            result.AddError(wrong.Message);
        }
    }

    private static WrittenValue[] Written(VmSetting setting, OptionResult result) => [.. result.Tokens.Select(token => WrittenValue.OfFlag(setting.Flag, token.Value))];
}
