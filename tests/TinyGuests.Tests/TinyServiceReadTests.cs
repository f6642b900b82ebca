using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.TinyGuests.Tests;

/// <summary>The service looks at a buffer that a read is under way for. It must not take a read that ends while it looks for data that came too early.</summary>
public sealed class TinyServiceReadTests
{
    private const int Records = 400;

    [Fact]
    public void Read_may_end_behind_any_instruction_of_a_look()
    {
        using var machine = new GuestMachine(new MachineConfig
        {
            MemoryBytes = 16 << 20,
            CommandLine = $"workload=service records={Records} seed=1",
            Disks = [new BlockOptions { CapacitySectors = Records + 64 }],
        });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        byte[] disk = new byte[(Records + 64) * 512];
        var console = new StringBuilder();
        (int Disk, DiskCompletion End)? held = null;
        ulong reads = 0;
        while (true)
        {
            MachineExit exit = machine.Run(10_000_000);
            foreach (MachineEffect effect in exit.Effects)
            {
                switch (effect)
                {
                    case ConsoleOutput output:
                        console.Append(Encoding.ASCII.GetString(output.Bytes.AsSpan()));
                        break;
                    case DiskRequested { Request.Kind: DiskRequestKind.Read } read when reads > 0 || console.Length > 0:
                        held = (read.Disk, TinyGuestDriver.Serve(read.Request, disk));
                        break;
                    case DiskRequested other:
                        machine.Inject(new DiskCompleted(other.Disk, TinyGuestDriver.Serve(other.Request, disk)));
                        break;
                }
            }
            if (exit.Reason is MachineExitReason.PowerOff or MachineExitReason.Reset or MachineExitReason.TripleFault)
            {
                break;
            }
            if (exit.Reason == MachineExitReason.Idle && exit.NextTimerTsc is { } timer)
            {
                machine.Inject(new ClockAdvance(timer));
                if (held is { } end)
                {
                    // Behind one instruction more at each read.
                    machine.Run(reads++);
                    machine.Inject(new DiskCompleted(end.Disk, end.End));
                    held = null;
                }
            }
        }
        Assert.Equal(TinyGuest.ServiceText(1, Records), console.ToString());
        Assert.True(reads >= Records);
    }
}
