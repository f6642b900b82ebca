using System.CommandLine;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Tests.Run;

/// <summary>Flags and file say the same: what one can, the other can, and mistakes are told.</summary>
public sealed class VmOptionsTests
{
    private const string File = "/vms/web.hocon";

    /// <summary>Each flag of <c>ftakka run</c> beside the text of a file that means the same.</summary>
    private static readonly Dictionary<string, (string[] Flags, string Text)> Equivalents = new()
    {
        ["--name"] = (["--name", "shop"], "name = shop"),
        ["--kernel"] = (["--kernel", "/boot/k"], "kernel = /boot/k"),
        ["--initrd"] = (["--initrd", "/boot/i"], "initrd = /boot/i"),
        ["--append"] = (["--append", "quiet ro"], "append = \"quiet ro\""),
        ["--memory"] = (["--memory", "1G"], "memory = 1G"),
        ["--disk"] = (["--disk", "/a.img", "--disk", "/b.img,format=raw,readonly"], "disks = [ /a.img, { path = /b.img, format = raw, readonly = on } ]"),
        ["--net"] = (
            ["--net", "tap:tap0,mtu=9000", "--net", "unix:/run/net,mac=52:54:00:00:00:01,listen"],
            "nics = [ \"tap:tap0,mtu=9000\", { connect = \"unix:/run/net\", mac = \"52:54:00:00:00:01\", listen = on } ]"),
        ["--console"] = (["--console", "unix:/run/console"], "console = \"unix:/run/console\""),
        ["--virtio-console"] = (["--virtio-console", "file:/run/log"], "virtio-console = \"file:/run/log\""),
        ["--cpu-model"] = (["--cpu-model", "other"], "cpu-model = other"),
        ["--rng-seed"] = (["--rng-seed", "0x10"], "rng-seed = 0x10"),
        ["--on-reboot"] = (["--on-reboot", "stop"], "on-reboot = stop"),
        ["--on-crash"] = (["--on-crash", "hold"], "on-crash = hold"),
        ["--on-poweroff"] = (["--on-poweroff", "restart"], "on-poweroff = restart"),
        ["--pace"] = (["--pace", "500"], "limits { pace = 500 }"),
        ["--max-icount"] = (["--max-icount", "2G"], "limits { max-icount = 2G }"),
        ["--digest-every"] = (["--digest-every", "50M"], "digest-every = 50M"),
        ["--stats"] = (["--stats", "/tmp/s.json"], "stats = /tmp/s.json"),
    };

    /// <summary>A debugging session belongs to one run, not to the VM.</summary>
    private static readonly string[] FlagsOnly = ["--gdb"];

    public static TheoryData<string> Flags => [.. Equivalents.Keys];

    [Fact]
    public void Every_flag_has_its_equivalent_in_the_file()
    {
        using var output = new StringWriter();
        Command run = new RunCommand().Create(new Terminal(output, output));
        Assert.Equal(
            Equivalents.Keys.Concat(FlagsOnly).Order(StringComparer.Ordinal),
            run.Options.Select(option => option.Name).Where(name => name != "--help").Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Flags))]
    public void Flag_and_file_describe_the_same_VM(string flag)
    {
        (string[] flags, string text) = Equivalents[flag];
        VmSpec byFlags = Read(flags), byFile = VmSpecFile.Parse(text, File);
        Assert.NotEqual(Show(new VmSpec()), Show(byFlags));
        Assert.Equal(Show(flag == "--name" ? byFile : byFile with { Name = "vm" }), Show(byFlags));
    }

    [Theory]
    [InlineData("--memory", "lots", "--memory: 'lots' is no size")]
    [InlineData("--disk", "a,rw", "--disk: unknown option 'rw'; allowed are format=raw, readonly, shared=yes|no and backup-reads=yes|no")]
    [InlineData("--disk", "a,format=qcow2", "--disk: format: 'qcow2' is not supported; allowed is raw")]
    [InlineData("--net", "bridge:br0", "--net: 'bridge:br0' is no network")]
    [InlineData("--console", "tcp:1", "--console: 'tcp:1' is no console")]
    [InlineData("--virtio-console", "pty", "--virtio-console: 'pty' is no console")]
    [InlineData("--rng-seed", "x", "--rng-seed: 'x' is no number")]
    [InlineData("--pace", "0", "--pace: 0 is out of range")]
    [InlineData("--max-icount", "soon", "'soon' is no number of instructions")]
    [InlineData("--max-icount", "0", "--max-icount: '0' is no number of instructions")]
    [InlineData("--digest-every", "1.5M", "'1.5M' is no number of instructions")]
    public async Task Mistake_is_a_usage_error_that_says_what_is_allowed(string flag, string value, string message)
    {
        using var errors = new StringWriter();
        int exitCode = await new CommandLineApplication(CommandLineApplication.FindModules(), TextWriter.Null, errors).RunAsync(["run", flag, value]);
        Assert.Equal(ExitCode.Usage, exitCode);
        Assert.Contains(message, errors.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--memory")]
    [InlineData("--disk")]
    public async Task Flag_without_a_value_is_a_usage_error(string flag) =>
        Assert.Equal(ExitCode.Usage, await new CommandLineApplication(CommandLineApplication.FindModules(), TextWriter.Null, TextWriter.Null).RunAsync(["run", flag]));

    [Fact]
    public void Flags_override_the_file_and_leave_the_rest()
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        string file = Path.Combine(folder.Path, "web.hocon");
        System.IO.File.WriteAllText(file, "kernel = k\nmemory = 1G\ndisks = [ a.img, b.img ]\nlimits { pace = 5, max-icount = 7 }\ndigest-every = 3");
        VmSpec spec = Read([file, "--kernel", "k", "--disk", "c.img", "--pace", "6", "--digest-every", "0"]);
        Assert.Equal(("web", "k", 1UL << 30, new VmLimits(6, 7), 0UL), (spec.Name, spec.Kernel, spec.MemoryBytes, spec.Limits, spec.DigestEvery));
        Assert.Equal("c.img", Assert.Single(spec.Disks).Path);
    }

    [Fact]
    public async Task File_that_is_no_kernel_is_named_with_what_is_wrong()
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        string kernel = Path.Combine(folder.Path, "kernel"), initrd = Path.Combine(folder.Path, "initrd");
        await System.IO.File.WriteAllTextAsync(kernel, "not a kernel");
        await System.IO.File.WriteAllTextAsync(initrd, "not an initrd");
        using var errors = new StringWriter();
        int exitCode = await new CommandLineApplication(CommandLineApplication.FindModules(), TextWriter.Null, errors).RunAsync(
            ["run", "--kernel", kernel, "--initrd", initrd, "--console", "none", "--virtio-console", $"file:{Path.Combine(folder.Path, "hvc0")}"]);
        Assert.Equal(ExitCode.Failed, exitCode);
        Assert.Contains($"Cannot boot the kernel {kernel} with the initrd {initrd}: The file is neither a bzImage", Unwrapped(errors), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_consoles_in_one_place_are_refused()
    {
        using var errors = new StringWriter();
        int exitCode = await new CommandLineApplication(CommandLineApplication.FindModules(), TextWriter.Null, errors).RunAsync(
            ["run", "--kernel", "/boot/none", "--virtio-console", "stdio"]);
        Assert.Equal(ExitCode.Failed, exitCode);
        Assert.Contains("cannot both be at standard input and output", Unwrapped(errors), StringComparison.Ordinal);
    }

    /// <summary>Long messages are broken into lines.</summary>
    private static string Unwrapped(StringWriter errors) => errors.ToString().ReplaceLineEndings(" ").Replace("  ", " ", StringComparison.Ordinal);

    /// <summary>What the command line describes, with run's own flags put where the file has them.</summary>
    private static VmSpec Read(string[] arguments)
    {
        var run = new RunCommand();
        Command command = run.Create(new Terminal(TextWriter.Null, TextWriter.Null));
        string[] withKernel = arguments.Contains("--kernel") ? arguments : ["--kernel", "/k", .. arguments];
        VmSpec spec = run.Describe(command.Parse(withKernel), _ => { });
        return arguments.Contains("--kernel") ? spec : spec with { Kernel = null };
    }

    /// <summary>A spec as text: immutable arrays compare by reference.</summary>
    private static string Show(VmSpec spec) =>
        $"{spec with { Disks = [], Nics = [] }} disks {string.Join(' ', spec.Disks)} nics "
        + string.Join(' ', spec.Nics.Select(nic => $"{nic with { Mac = null }} {string.Join(':', nic.Mac ?? [])}"));
}
