using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// The reboot workload: prints the how manieth boot this is, sleeps, and starts itself again, until the last boot switches off. Nothing but the memory of
/// the real-time clock, which has a battery, tells one boot from another.
/// </summary>
internal sealed partial class TinyKernel
{
    private const byte ClockIndexPort = 0x70, ClockDataPort = 0x71;

    /// <summary>A byte of the clock's memory that nobody else uses; 0 at power-on.</summary>
    private const byte BootCountIndex = 0x40;

    /// <summary>Where a kernel says that it wants a warm boot, as Linux is told to do after a panic; and that value.</summary>
    private const uint BootFlagAddress = 0x472;

    private const ushort WarmBoot = 0x1234;

    private Label _reboot;

    private void AssembleReboot()
    {
        Label last = asm.CreateLabel();
        Label noFault = asm.CreateLabel();
        Label noPanic = asm.CreateLabel();

        asm.Label(ref _reboot);
        asm.push(rbx);
        asm.mov(al, BootCountIndex);
        asm.@out(ClockIndexPort, al);
        asm.@in(al, ClockDataPort);
        asm.inc(al);
        asm.@out(ClockDataPort, al);
        asm.movzx(ebx, al);
        Print("boot ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print("\n");
        Parameter("period", TinyGuest.DefaultPeriod);
        asm.mov(rdi, rax);
        asm.call(_sleep);
        Parameter("count", TinyGuest.DefaultCount);
        asm.cmp(rax, rbx);
        asm.je(last);

        Parameter("how", 0);
        asm.cmp(rax, 1);
        asm.jne(noFault);
        // Without a descriptor table for them, an exception is a triple fault.
        asm.push(0);
        asm.push(0);
        asm.lidt(__[rsp]);
        asm.ud2();
        asm.Label(ref noFault);
        asm.cmp(rax, 2);
        asm.jne(noPanic);
        asm.mov(__word_ptr[BootFlagAddress], WarmBoot);
        asm.Label(ref noPanic);
        asm.jmp(_reset);

        asm.Label(ref last);
        asm.pop(rbx);
        asm.ret();
    }
}
