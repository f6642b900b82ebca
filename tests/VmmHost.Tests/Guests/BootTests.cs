using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>The stock kernel boots to userland, finds the machine in order, and its end is the run's end.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class BootTests : IDisposable
{
    /// <summary>What the stock kernel has to warn about, and why that is as it should be.</summary>
    private static readonly string[] ExplainedWarnings =
    [
        "PCI: Fatal: No config space access function found", // the machine has no PCI: its devices are virtio-mmio, announced by ACPI
        "PCI: System does not support PCI",                  // the same, said by the serial driver's neighbour
    ];

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [GuestFact]
    public void Vmlinux_boots_to_a_shell_that_finds_the_machine_in_order()
    {
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, """
            uname -srm
            cat /proc/cpuinfo
            free
            cat /sys/devices/system/clocksource/clocksource0/current_clocksource
            dmesg -r | grep '^<[0-4]>'
            dmesg | grep -i -E 'call trace|unstable|BUG:|tainted|------------.. cut'
            true
            """, withProof: false);

        string[] output = GuestProcess.Run(image, "256M");

        Assert.Matches("^Linux 6\\.[0-9.]+-[0-9]+-cloud-amd64 x86_64$", output[0]);
        Assert.Contains(output, line => line.StartsWith("model name", StringComparison.Ordinal) && line.Contains("FtAkka Virtual CPU", StringComparison.Ordinal));
        Assert.Contains("tsc", output);
        string memory = Assert.Single(output, line => line.StartsWith("Mem:", StringComparison.Ordinal));
        Assert.InRange(int.Parse(memory.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]), 190_000, 262_144); // KiB of 256 MiB
        string[] warnings = [.. output.SkipWhile(line => line != "tsc").Skip(1)];
        Assert.All(warnings, line => Assert.True(ExplainedWarnings.Any(known => line.EndsWith(known, StringComparison.Ordinal)), line));
    }

    [GuestFact]
    public void BzImage_boots_as_well_and_has_a_second_console()
    {
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, "echo hello from $(uname -n); echo second > /dev/hvc0", withProof: false);
        string console = Path.Combine(folder.Path, "hvc0");
        using GuestProcess guest = GuestProcess.StartFtAkka(
        [
            "--kernel", GuestFolder.Default.BzImage, "--initrd", image, "--memory", "256M", "--append", GuestImage.KernelArguments,
            "--virtio-console", $"file:{console}",
        ]);
        Assert.True(guest.End(GuestProcess.Patience) == ExitCode.Ok, guest.Story());
        Assert.Equal(["hello from ftakka"], guest.Output);
        Assert.Equal("second\r\n", File.ReadAllText(console));
    }

    [GuestFact("script")]
    public void Ctrl_A_X_on_a_terminal_leaves_and_Ctrl_C_is_the_guests()
    {
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, """
            trap 'echo INTERRUPTED' INT
            echo READY
            while true; do sleep 1; done
            """, withProof: false);
        // The guest's shell gets a controlling terminal, without which Ctrl-C would be a byte like any other.
        using GuestProcess guest = GuestProcess.StartOnTerminal([
            "--kernel", GuestImage.Kernel, "--initrd", image, "--memory", "256M", "--append", "quiet ftakka.run=\"setsid cttyhack sh /proof.sh\""]);
        guest.WaitFor("READY");
        guest.Type("\x03");
        // Linux sends the signal before it echoes "^C": the shell may be first.
        guest.WaitFor("INTERRUPTED", "^CINTERRUPTED");
        guest.Type("\x01x");
        Assert.True(guest.End(GuestProcess.Patience) == ExitCode.Ok, guest.Story());
    }

    [GuestFact]
    public void Panic_ends_the_run_as_a_crash()
    {
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, "echo c > /proc/sysrq-trigger", withProof: false);
        using GuestProcess guest = GuestProcess.StartFtAkka(GuestProcess.Boot(image, "256M"));
        Assert.True(guest.End(GuestProcess.Patience) == ExitCode.GuestCrashed, guest.Story());
        Assert.Contains("sysrq triggered crash", guest.Story(), StringComparison.Ordinal);
        Assert.Contains("the guest's kernel panicked", guest.Story(), StringComparison.Ordinal);
    }
}
