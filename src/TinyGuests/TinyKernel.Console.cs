using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>The 16550 UART: output by polling, input by interrupt into a ring of one page.</summary>
internal sealed partial class TinyKernel
{
    private const int LineStatus = GuestLayout.Uart + 5;
    private const int ConsoleRingMask = 4095;

    private Label _setUpConsole;
    private Label _receiveConsole;
    private Label _putByte;
    private Label _printText;
    private Label _printHex;
    private Label _waitByte;

    private void CreateConsoleLabels()
    {
        _setUpConsole = asm.CreateLabel();
        _receiveConsole = asm.CreateLabel();
        _putByte = asm.CreateLabel();
        _printText = asm.CreateLabel();
        _printHex = asm.CreateLabel();
        _waitByte = asm.CreateLabel();
    }

    private void Print(string text)
    {
        asm.lea(rdi, __[Text(text)]);
        asm.call(_printText);
    }

    private void AssembleConsole()
    {
        AssembleSetUpConsole();
        AssembleReceiveConsole();
        AssemblePutByte();
        AssemblePrint();
        AssembleWaitByte();
    }

    private void AssembleSetUpConsole()
    {
        asm.Label(ref _setUpConsole);
        // 8N1; FIFO on and cleared; DTR, RTS and OUT2, without which the interrupt line stays off; receive interrupt.
        (int Register, int Value)[] settings = [(3, 0x03), (2, 0x07), (4, 0x0b), (1, 0x01)];
        foreach ((int register, int value) in settings)
        {
            asm.mov(edx, GuestLayout.Uart + register);
            asm.mov(eax, value);
            asm.@out(dx, al);
        }

        asm.ret();
    }

    /// <summary>Called by the interrupt handler: takes every byte that the UART has. A full ring drops the byte.</summary>
    private void AssembleReceiveConsole()
    {
        Label next = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _receiveConsole);
        asm.mov(edx, GuestLayout.Uart + 2);
        asm.@in(al, dx); // reading IIR is how a 16550 driver starts
        asm.Label(ref next);
        asm.mov(edx, LineStatus);
        asm.@in(al, dx);
        asm.test(al, 1);
        asm.je(done);
        asm.mov(edx, GuestLayout.Uart);
        asm.@in(al, dx);
        asm.mov(rcx, __qword_ptr[ConsoleHead]);
        asm.mov(rdx, rcx);
        asm.sub(rdx, __qword_ptr[ConsoleTail]);
        asm.cmp(rdx, ConsoleRingMask);
        asm.ja(next);
        asm.mov(edx, ecx);
        asm.and(edx, ConsoleRingMask);
        asm.mov(__byte_ptr[rdx + GuestLayout.ConsoleRing], al);
        asm.inc(__qword_ptr[ConsoleHead]);
        asm.jmp(next);
        asm.Label(ref done);
        asm.ret();
    }

    /// <summary>Writes the byte in DIL once the transmitter has room.</summary>
    private void AssemblePutByte()
    {
        Label busy = asm.CreateLabel();
        asm.Label(ref _putByte);
        asm.mov(edx, LineStatus);
        asm.Label(ref busy);
        asm.@in(al, dx);
        asm.test(al, 0x20);
        asm.je(busy);
        asm.mov(edx, GuestLayout.Uart);
        asm.mov(eax, edi);
        asm.@out(dx, al);
        asm.ret();
    }

    private void AssemblePrint()
    {
        Label next = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _printText);
        asm.mov(rsi, rdi);
        asm.Label(ref next);
        asm.lodsb();
        asm.test(al, al);
        asm.je(done);
        asm.movzx(edi, al);
        asm.call(_putByte);
        asm.jmp(next);
        asm.Label(ref done);
        asm.ret();

        // Sixteen digits of RDI.
        Label digit = asm.CreateLabel();
        Label digits = Constant("0123456789abcdef"u8.ToArray());
        asm.Label(ref _printHex);
        asm.mov(rsi, rdi);
        asm.mov(ecx, 16);
        asm.Label(ref digit);
        asm.rol(rsi, 4);
        asm.mov(eax, esi);
        asm.and(eax, 15);
        asm.lea(rdx, __[digits]);
        asm.movzx(edi, __byte_ptr[rdx + rax]);
        asm.call(_putByte);
        asm.dec(ecx);
        asm.jne(digit);
        asm.ret();
    }

    /// <summary>Waits for an input byte with the processor halted.</summary>
    private void AssembleWaitByte()
    {
        Label have = asm.CreateLabel();
        asm.Label(ref _waitByte);
        asm.cli();
        asm.mov(rcx, __qword_ptr[ConsoleTail]);
        asm.cmp(rcx, __qword_ptr[ConsoleHead]);
        asm.jne(have);
        asm.sti(); // takes effect after HLT has begun, so no interrupt is lost between
        asm.hlt();
        asm.jmp(_waitByte);
        asm.Label(ref have);
        asm.inc(__qword_ptr[ConsoleTail]);
        asm.and(ecx, ConsoleRingMask);
        asm.movzx(eax, __byte_ptr[rcx + GuestLayout.ConsoleRing]);
        asm.sti();
        asm.ret();
    }
}
