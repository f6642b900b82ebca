using System.Diagnostics;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.TinyGuests.Tests;

/// <summary>
/// The tiny guest under another monitor: what the host's references compute is what an independent implementation of the
/// processor, the interrupt controllers and the virtio devices gives.
/// </summary>
public sealed class TinyGuestUnderQemuTests : IDisposable
{
    private const string Qemu = "qemu-system-x86_64";

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [HostProgramFact(Qemu)]
    public void Without_a_workload_it_says_hello_and_powers_off() => Assert.Equal(TinyGuest.HelloText, Run(""));

    [HostProgramFact(Qemu)]
    public void Counter_prints_a_line_per_timer_tick() =>
        Assert.Equal(TinyGuest.CounterText(4), Run("workload=counter count=4 period=100000"));

    [HostProgramFact(Qemu)]
    public void Compute_agrees_with_the_reference() =>
        Assert.Equal(TinyGuest.ComputeText(0xabc, 3), Run("workload=compute rounds=3 seed=0xabc"));

    [HostProgramFact(Qemu)]
    public void Console_answers_typed_bytes() =>
        Assert.Equal(TinyGuest.ConsoleText("Hello, World 1\n"), Run("workload=console", input: "Hello, World 1\n\u0004"));

    [HostProgramFact(Qemu)]
    public void Journal_is_on_the_disk_and_goes_on_after_a_restart()
    {
        string disk = Path.Combine(folder.Path, "disk.img");
        File.WriteAllBytes(disk, new byte[64 * JournalRecord.SizeBytes]);

        Assert.Equal(TinyGuest.JournalText(7, 3), Run("workload=journal records=3 seed=7", disk));
        Assert.Equal(TinyGuest.JournalText(7, 5, present: 3), Run("workload=journal records=5 seed=7", disk));

        byte[] image = File.ReadAllBytes(disk);
        Assert.Equal(JournalRecord.Expected(7, 5), image[..(5 * JournalRecord.SizeBytes)]);
        Assert.Equal(5, JournalRecord.CountGood(image, 7));
    }

    private string Run(string commandLine, string? disk = null, string input = "")
    {
        string kernel = Path.Combine(folder.Path, "tiny.elf");
        File.WriteAllBytes(kernel, TinyGuest.Kernel);

        // QEMU's microvm has its virtio windows 512 bytes apart; everything else is where the project's own machine has it.
        List<string> arguments =
        [
            "-accel", "tcg", "-M", "microvm,pcie=off,pic=off,pit=off,rtc=off,ioapic2=off", "-global", "virtio-mmio.force-legacy=false",
            "-m", "64", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", kernel,
            "-append", "stride=0x200 " + commandLine,
        ];
        if (disk is not null)
        {
            arguments.AddRange(["-drive", $"file={disk},if=none,id=d0,format=raw", "-device", "virtio-blk-device,drive=d0"]);
        }

        using Process process = Process.Start(
            new ProcessStartInfo(Qemu, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        using var limit = new Timer(_ => process.Kill(), null, TimeSpan.FromSeconds(60), Timeout.InfiniteTimeSpan);

        // Bytes typed before the guest has set up its UART are lost, so they are sent once it has said something.
        string output = process.StandardOutput.ReadLine() + "\n";
        process.StandardInput.Write(input);
        process.StandardInput.Flush();
        output += process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
