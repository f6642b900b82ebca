using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>Choice of the workload, and those that need no algorithm: hello, counter, console.</summary>
internal sealed partial class TinyKernel
{
    private const ulong FoldPrime = 0x0000_0100_0000_01b3;
    private const ulong FoldStart = 0xcbf2_9ce4_8422_2325;
    private const ulong RandomMultiplier = 0x2545_f491_4f6c_dd1d;

    private Label _runWorkload;
    private Label _hello;
    private Label _counter;
    private Label _console;
    private Label _journal;
    private Label _echo;
    private Label _echoFrame;
    private Label _service;
    private Label _verifyRecord;
    private Label _compute;
    private Label _all;
    private Label _random;
    private Label _demanding;
    private Label _demandServe;
    private Label _putDescriptor;

    private void CreateWorkloadLabels()
    {
        _runWorkload = asm.CreateLabel();
        _hello = asm.CreateLabel();
        _counter = asm.CreateLabel();
        _console = asm.CreateLabel();
        _journal = asm.CreateLabel();
        _echo = asm.CreateLabel();
        _echoFrame = asm.CreateLabel();
        _service = asm.CreateLabel();
        _verifyRecord = asm.CreateLabel();
        _compute = asm.CreateLabel();
        _all = asm.CreateLabel();
        _random = asm.CreateLabel();
        _demanding = asm.CreateLabel();
        _demandServe = asm.CreateLabel();
        _putDescriptor = asm.CreateLabel();
        _reboot = asm.CreateLabel();
    }

    private void AssembleWorkloads()
    {
        AssembleChoice();
        AssembleHelloCounterConsole();
        AssembleAll();
        AssembleRandom();
        AssembleJournal();
        AssembleEcho();
        AssembleService();
        AssembleCompute();
        AssembleDemanding();
        AssembleReboot();
    }

    /// <summary>Compares the value of <c>workload=</c>; without one it is hello.</summary>
    private void AssembleChoice()
    {
        asm.Label(ref _runWorkload);
        asm.sti();
        ParameterText("workload");
        asm.test(rax, rax);
        Label given = asm.CreateLabel();
        asm.jne(given);
        asm.call(_hello);
        asm.jmp(_power);

        asm.Label(ref given);
        (string Name, Label Routine)[] workloads =
        [
            ("hello", _hello), ("counter", _counter), ("console", _console), ("journal", _journal), ("echo", _echo),
            ("compute", _compute), ("service", _service), ("all", _all), ("demanding", _demanding), ("reboot", _reboot),
        ];
        foreach ((string name, Label routine) in workloads)
        {
            Label other = asm.CreateLabel();
            for (int i = 0; i < name.Length; i++)
            {
                asm.cmp(__byte_ptr[rax + i], name[i]);
                asm.jne(other);
            }

            asm.call(routine);
            asm.jmp(_power);
            asm.Label(ref other);
        }

        Print("unknown workload\n");
        asm.jmp(_reset);
    }

    private void AssembleHelloCounterConsole()
    {
        asm.Label(ref _hello);
        Print("hello from the tiny guest\n");
        asm.ret();

        // counter: one line per timer tick; count= lines, period= TSC ticks apart.
        Label tick = asm.CreateLabel();
        asm.Label(ref _counter);
        asm.push(rbx);
        asm.push(rbp);
        asm.push(r12);
        Parameter("count", TinyGuest.DefaultCount);
        asm.mov(rbp, rax);
        Parameter("period", TinyGuest.DefaultPeriod);
        asm.mov(r12, rax);
        asm.xor(ebx, ebx);
        asm.Label(ref tick);
        asm.mov(rdi, r12);
        asm.call(_sleep);
        asm.inc(rbx);
        Print("tick ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print("\n");
        asm.cmp(rbx, rbp);
        asm.jne(tick);
        asm.pop(r12);
        asm.pop(rbp);
        asm.pop(rbx);
        asm.ret();

        // console: says every byte back with its case bit turned, until Ctrl-D.
        Label next = asm.CreateLabel();
        Label plain = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _console);
        Print("console ready\n");
        asm.Label(ref next);
        asm.call(_waitByte);
        asm.cmp(al, 4);
        asm.je(done);
        asm.mov(edi, eax);
        asm.mov(ecx, eax);
        asm.or(ecx, 0x20);
        asm.sub(ecx, 'a');
        asm.cmp(ecx, 25);
        asm.ja(plain);
        asm.xor(edi, 0x20);
        asm.Label(ref plain);
        asm.call(_putByte);
        asm.jmp(next);
        asm.Label(ref done);
        Print("console closed\n");
        asm.ret();
    }

    /// <summary>Everything that needs no peer, then the journal and the echo where there are devices for them.</summary>
    private void AssembleAll()
    {
        Label noDisk = asm.CreateLabel();
        Label noNet = asm.CreateLabel();
        asm.Label(ref _all);
        asm.call(_hello);
        asm.call(_compute);
        asm.call(_counter);
        asm.cmp(__qword_ptr[BlockWindow], 0);
        asm.je(noDisk);
        asm.call(_journal);
        asm.Label(ref noDisk);
        asm.cmp(__qword_ptr[NetWindow], 0);
        asm.je(noNet);
        asm.call(_echo);
        asm.Label(ref noNet);
        asm.ret();
    }

    /// <summary>RAX becomes the next number of the sequence whose state is in R13 (xorshift64*); changes RDX.</summary>
    private void AssembleRandom()
    {
        asm.Label(ref _random);
        asm.mov(rax, r13);
        asm.shr(rax, 12);
        asm.xor(r13, rax);
        asm.mov(rax, r13);
        asm.shl(rax, 25);
        asm.xor(r13, rax);
        asm.mov(rax, r13);
        asm.shr(rax, 27);
        asm.xor(r13, rax);
        asm.mov(rax, RandomMultiplier);
        asm.imul(rax, r13);
        asm.ret();
    }

    /// <summary>Folds RAX into the checksum in R12 (FNV-1a over 64-bit words); changes RAX and RDX.</summary>
    private void Fold()
    {
        asm.xor(r12, rax);
        asm.mov(rdx, FoldPrime);
        asm.imul(r12, rdx);
    }
}
