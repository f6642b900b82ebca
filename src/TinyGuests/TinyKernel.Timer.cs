using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>The local APIC's timer: TSC-deadline where the processor has it, else one-shot.</summary>
internal sealed partial class TinyKernel
{
    private const uint TscDeadlineMsr = 0x6e0;

    private Label _setUpTimer;
    private Label _sleep;

    private void CreateTimerLabels()
    {
        _setUpTimer = asm.CreateLabel();
        _sleep = asm.CreateLabel();
    }

    private void AssembleTimer()
    {
        AssembleSetUpTimer();
        AssembleSleep();
    }

    private void AssembleSetUpTimer()
    {
        asm.Label(ref _setUpTimer);
        asm.push(rbx); // CPUID changes it
        asm.mov(eax, 1);
        asm.xor(ecx, ecx);
        asm.cpuid();
        asm.pop(rbx);
        asm.shr(ecx, 24); // CPUID.01H:ECX[24]
        asm.and(ecx, 1);
        asm.mov(__qword_ptr[HasDeadlineTimer], rcx);
        asm.mov(eax, GuestLayout.LocalApic);
        asm.mov(__dword_ptr[rax + 0x3e0], 0x0b); // divide by 1
        asm.shl(ecx, 18); // LVT mode 10b is TSC-deadline, 00b one-shot
        asm.or(ecx, TimerVector);
        asm.mov(__dword_ptr[rax + 0x320], ecx);
        asm.mfence(); // the LVT write must be seen before the first deadline (Intel SDM vol. 3A, 11.5.4.1)
        asm.ret();
    }

    /// <summary>Halts until the timer has fired once more, RDI ticks of the TSC (or of the APIC's clock) from now.</summary>
    private void AssembleSleep()
    {
        Label oneShot = asm.CreateLabel();
        Label wait = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _sleep);
        asm.cli();
        asm.mov(rsi, __qword_ptr[Ticks]);
        asm.cmp(__qword_ptr[HasDeadlineTimer], 0);
        asm.je(oneShot);
        asm.rdtsc();
        asm.shl(rdx, 32);
        asm.or(rax, rdx);
        asm.add(rax, rdi);
        asm.mov(rdx, rax);
        asm.shr(rdx, 32);
        asm.mov(ecx, TscDeadlineMsr);
        asm.wrmsr();
        asm.jmp(wait);
        asm.Label(ref oneShot);
        asm.mov(eax, GuestLayout.LocalApic);
        asm.mov(__dword_ptr[rax + 0x380], edi);

        asm.Label(ref wait);
        asm.cli();
        asm.cmp(rsi, __qword_ptr[Ticks]);
        asm.jne(done);
        asm.sti();
        asm.hlt();
        asm.jmp(wait);
        asm.Label(ref done);
        asm.sti();
        asm.ret();
    }
}
