using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>The kernel command line: words of the form <c>name=value</c> between spaces.</summary>
internal sealed partial class TinyKernel
{
    private const int CommandLinePointer = 0x228; // boot_params.hdr.cmd_line_ptr

    private Label _findParameter;
    private Label _number;
    private Label _empty;

    private void CreateCommandLineLabels()
    {
        _findParameter = asm.CreateLabel();
        _number = asm.CreateLabel();
        _empty = Text(string.Empty);
    }

    /// <summary>RAX becomes the number given for a name, decimal or 0x-hexadecimal, or the default.</summary>
    private void Parameter(string name, ulong missing)
    {
        asm.lea(rdi, __[Text(name + "=")]);
        asm.mov(rsi, missing);
        asm.call(_number);
    }

    /// <summary>RAX becomes the address of the value of a name, or 0.</summary>
    private void ParameterText(string name)
    {
        asm.lea(rdi, __[Text(name + "=")]);
        asm.call(_findParameter);
    }

    private void AssembleCommandLine()
    {
        AssembleFindParameter();
        AssembleNumber();
    }

    private void AssembleFindParameter()
    {
        Label word = asm.CreateLabel();
        Label compare = asm.CreateLabel();
        Label skip = asm.CreateLabel();
        Label found = asm.CreateLabel();
        Label none = asm.CreateLabel();
        asm.Label(ref _findParameter);
        asm.mov(rsi, __qword_ptr[BootParameters]);
        asm.mov(esi, __dword_ptr[rsi + CommandLinePointer]);
        asm.test(rsi, rsi);
        asm.jne(word);
        asm.lea(rsi, __[_empty]);
        asm.Label(ref word);
        asm.xor(ecx, ecx);
        asm.Label(ref compare);
        asm.mov(al, __byte_ptr[rdi + rcx]);
        asm.test(al, al);
        asm.je(found);
        asm.cmp(al, __byte_ptr[rsi + rcx]);
        asm.jne(skip);
        asm.inc(ecx);
        asm.jmp(compare);

        asm.Label(ref skip);
        asm.lodsb();
        asm.test(al, al);
        asm.je(none);
        asm.cmp(al, (sbyte)' ');
        asm.jne(skip);
        asm.jmp(word);

        asm.Label(ref found);
        asm.lea(rax, __[rsi + rcx]);
        asm.ret();
        asm.Label(ref none);
        asm.xor(eax, eax);
        asm.ret();
    }

    private void AssembleNumber()
    {
        Label digit = asm.CreateLabel();
        Label take = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _number);
        asm.push(rsi);
        asm.call(_findParameter);
        asm.pop(rdx);
        asm.test(rax, rax);
        asm.je(done);
        asm.mov(rsi, rax);
        asm.mov(r8d, 10);
        asm.xor(edx, edx);
        asm.cmp(__word_ptr[rsi], 0x7830); // "0x"
        asm.jne(digit);
        asm.mov(r8d, 16);
        asm.add(rsi, 2);
        asm.Label(ref digit);
        asm.xor(eax, eax);
        asm.lodsb();
        asm.sub(eax, '0');
        asm.cmp(eax, 9);
        asm.jbe(take);
        asm.or(eax, 0x20);
        asm.sub(eax, 'a' - '0' - 10);
        asm.cmp(eax, 10);
        asm.jb(done);
        asm.Label(ref take);
        asm.cmp(eax, r8d);
        asm.jae(done);
        asm.imul(rdx, r8);
        asm.add(rdx, rax);
        asm.jmp(digit);
        asm.Label(ref done);
        asm.mov(rax, rdx);
        asm.ret();
    }
}
