using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;

namespace FtAkka.TinyGuests.Tests;

/// <summary>The image is a kernel for the real loader, and each workload prints what the reference on the host computes.</summary>
public sealed class TinyGuestTests
{
    private const ulong Patience = 400_000_000;

    public static TheoryData<string, string> Workloads => new()
    {
        { "workload=hello", TinyGuest.HelloText },
        { "workload=counter count=5 period=200000", TinyGuest.CounterText(5) },
        { "workload=compute rounds=1 seed=9", TinyGuest.ComputeText(9, 1) },
    };

    [Fact]
    public void Image_is_a_small_ELF_file_and_the_same_each_time()
    {
        byte[] kernel = TinyGuest.Kernel;
        Assert.InRange(kernel.Length, 4096, 256 * 1024);
        Assert.Equal(kernel, TinyGuest.Kernel);
        Assert.Equal("\u007fELF"u8, kernel.AsSpan(0, 4));
    }

    [Theory]
    [MemberData(nameof(Workloads))]
    public void Workload_prints_what_the_reference_says_and_powers_off(string commandLine, string expected)
    {
        using var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = commandLine });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        var text = new StringBuilder();
        MachineExit exit = machine.Run(Patience);
        while (exit.Reason is not (MachineExitReason.PowerOff or MachineExitReason.Reset) && machine.Icount < Patience)
        {
            Append(text, exit);
            if (exit.Reason == MachineExitReason.Idle)
            {
                // An idle guest waits for its timer: let its clock reach it.
                machine.Inject(new ClockAdvance(exit.NextTimerTsc ?? machine.Tsc + 1_000_000));
            }
            exit = machine.Run(Patience);
        }
        Append(text, exit);
        Assert.Equal(MachineExitReason.PowerOff, exit.Reason);
        Assert.Equal(expected, text.ToString());
    }

    private static void Append(StringBuilder text, MachineExit exit)
    {
        foreach (ConsoleOutput output in exit.Effects.OfType<ConsoleOutput>())
        {
            text.Append(Encoding.Latin1.GetString(output.Bytes.AsSpan()));
        }
    }
}
