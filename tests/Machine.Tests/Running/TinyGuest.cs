using FtAkka.Machine.Tests.Boot;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Machine.Tests.Running;

/// <summary>
/// A kernel of a few hundred bytes: IDT, local APIC timer in one-shot mode, UART in both directions with interrupts, HLT, busy work whose course
/// depends on the TSC, and power-off. Everything it learns goes into what it prints.
/// </summary>
internal static class TinyGuest
{
    public const ulong Address = 0x100_0000;
    private const long LocalApic = 0xFEE0_0000, IoApic = 0xFEC0_0000, SleepControl = 0xFEA0_0200;
    private const long Idt = 0x80_0000, IdtRegister = 0x7F_F000, Sleeps = 0x7F_E000, Work = 0x70_0000;
    private const int TimerVector = 0xEC, UartVector = 0x24, UartIoApicRegister = 0x10 + 2 * MemoryMap.UartGsi;

    /// <summary>Prints "hello\n" and powers off.</summary>
    public static byte[] Hello() => Assemble(a =>
    {
        foreach (var character in "hello\n"u8)
            Print(a, character);
        PowerOff(a);
    });

    /// <summary>Prints with each timer tick and each key, works in between, and powers off after the given number of sleeps.</summary>
    public static byte[] Busy(int sleeps) => Assemble(a =>
    {
        var (timer, uart) = (a.CreateLabel(), a.CreateLabel());
        SetUp(a, timer, uart);
        var (again, work) = (a.CreateLabel(), a.CreateLabel());
        a.sti();
        a.Label(ref again);
        // Busy work: between 1 and 1024 rounds, as the TSC has it, over 64 KiB of memory.
        a.rdtsc();
        a.and(eax, 0x3FF);
        a.lea(ecx, __[rax + 1]);
        a.mov(rdi, Work);
        a.Label(ref work);
        a.imul(rbx, rbx, 1_000_003);
        a.add(rbx, rax);
        a.movzx(edx, bx);
        a.add(__qword_ptr[rdi + rdx], rbx);
        a.dec(ecx);
        a.jnz(work);
        Print(a, al: bl);
        a.hlt();
        a.mov(rdi, Sleeps);
        a.inc(__dword_ptr[rdi]);
        a.cmp(__dword_ptr[rdi], sleeps);
        a.jb(again);
        a.cli();
        PowerOff(a);
        Handlers(a, ref timer, ref uart);
    });

    private static void SetUp(Assembler a, Label timer, Label uart)
    {
        a.mov(rsp, 0x60_0000L);
        Gate(a, TimerVector, timer);
        Gate(a, UartVector, uart);
        a.mov(rdi, IdtRegister);
        a.mov(__word_ptr[rdi], 0xFFF);
        a.mov(rax, Idt);
        a.mov(__qword_ptr[rdi + 2], rax);
        a.lidt(__[rdi]);
        a.mov(rdi, LocalApic);
        a.mov(__dword_ptr[rdi + 0xF0], 0x1FF);
        a.mov(__dword_ptr[rdi + 0x3E0], 0xB);
        a.mov(__dword_ptr[rdi + 0x320], TimerVector);
        a.mov(__dword_ptr[rdi + 0x380], 5000);
        a.mov(rsi, IoApic);
        a.mov(__dword_ptr[rsi], UartIoApicRegister);
        a.mov(__dword_ptr[rsi + 0x10], UartVector);
        Out(a, 0x3FC, 0x08);
        Out(a, 0x3FA, 0x01);
        Out(a, 0x3F9, 0x01);
    }

    private static void Handlers(Assembler a, ref Label timer, ref Label uart)
    {
        a.Label(ref timer);
        Save(a);
        Print(a, (byte)'t');
        a.mov(rdi, LocalApic);
        a.mov(__dword_ptr[rdi + 0xB0], 0);
        a.rdtsc();
        a.and(eax, 0xFFF);
        a.add(eax, 100);
        a.mov(__dword_ptr[rdi + 0x380], eax);
        Restore(a);
        a.Label(ref uart);
        Save(a);
        var (more, done) = (a.CreateLabel(), a.CreateLabel());
        a.Label(ref more);
        a.mov(edx, 0x3FD);
        a.@in(al, dx);
        a.test(al, 1);
        a.jz(done);
        a.mov(edx, 0x3F8);
        a.@in(al, dx);
        a.@out(dx, al);
        a.jmp(more);
        a.Label(ref done);
        a.mov(rdi, LocalApic);
        a.mov(__dword_ptr[rdi + 0xB0], 0);
        Restore(a);
    }

    private static void Save(Assembler a)
    {
        a.push(rax);
        a.push(rdx);
        a.push(rdi);
    }

    private static void Restore(Assembler a)
    {
        a.pop(rdi);
        a.pop(rdx);
        a.pop(rax);
        a.iretq();
    }

    /// <summary>A 64-bit interrupt gate (Intel SDM vol. 3A, 6.14.1).</summary>
    private static void Gate(Assembler a, int vector, Label handler)
    {
        a.mov(rdi, Idt + vector * 16);
        a.lea(rax, __[handler]);
        a.mov(__word_ptr[rdi], ax);
        a.mov(__dword_ptr[rdi + 2], 0x10);
        a.mov(__word_ptr[rdi + 4], 0x8E00);
        a.shr(rax, 16);
        a.mov(__word_ptr[rdi + 6], ax);
        a.shr(rax, 16);
        a.mov(__dword_ptr[rdi + 8], eax);
        a.mov(__dword_ptr[rdi + 12], 0);
    }

    private static void Out(Assembler a, int port, int value)
    {
        a.mov(edx, port);
        a.mov(eax, value);
        a.@out(dx, al);
    }

    private static void Print(Assembler a, byte character) => Out(a, 0x3F8, character);

    private static void Print(Assembler a, AssemblerRegister8 al)
    {
        a.mov(edx, 0x3F8);
        a.mov(AssemblerRegisters.al, al);
        a.@out(dx, AssemblerRegisters.al);
    }

    private static void PowerOff(Assembler a)
    {
        a.mov(rdi, SleepControl);
        a.mov(__byte_ptr[rdi], 0x34);
        a.hlt();
    }

    private static byte[] Assemble(Action<Assembler> program)
    {
        var assembler = new Assembler(64);
        program(assembler);
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), Address);
        return SyntheticKernel.Elf(code.ToArray(), Address);
    }
}
