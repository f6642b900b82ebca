using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>Interrupt table, local APIC, IOAPIC, and what happens on an interrupt or a fault.</summary>
internal sealed partial class TinyKernel
{
    private const int TimerVector = 0x20;
    private const int ConsoleVector = 0x24;
    private const int FirstVirtioVector = 0x30;
    private const int SpuriousVector = 0x3f;
    private const int VectorCount = 0x40;
    private const int ConsolePin = 4;
    private const int DoubleFault = 8;
    private const int PageFault = 14;

    // Offsets from RSP inside the handler, after all registers have been pushed.
    private const int SavedVector = 15 * 8;
    private const int SavedError = 16 * 8;
    private const int SavedRip = 17 * 8;

    private static readonly int[] VectorsWithError = [8, 10, 11, 12, 13, 14, 17, 21];

    private static readonly AssemblerRegister64[] Pushed =
        [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    private Label _setUpTables;
    private Label _setUpInterrupts;
    private Label _common;
    private Label _endOfInterrupt;

    private void CreateInterruptLabels()
    {
        _setUpTables = asm.CreateLabel();
        _setUpInterrupts = asm.CreateLabel();
        _common = asm.CreateLabel();
        _endOfInterrupt = asm.CreateLabel();
    }

    private void AssembleInterrupts()
    {
        var stubs = new Label[VectorCount];
        for (int vector = 0; vector < VectorCount; vector++)
        {
            stubs[vector] = asm.CreateLabel();
            asm.Label(ref stubs[vector]);
            if (!VectorsWithError.Contains(vector))
            {
                asm.push(0);
            }

            asm.push(vector);
            asm.jmp(_common);
        }

        AssembleCommonHandler();
        AssembleSetUpInterrupts(stubs);
    }

    private void AssembleSetUpInterrupts(Label[] stubs)
    {
        asm.Label(ref _setUpInterrupts);
        for (int vector = 0; vector < VectorCount; vector++)
        {
            // Interrupt gate, present; #DF gets a stack of its own (Intel SDM vol. 3A, 6.14.1).
            uint gate = GuestLayout.Idt + ((uint)vector * 16);
            asm.lea(rax, __[stubs[vector]]);
            asm.mov(__word_ptr[gate], ax);
            asm.mov(__word_ptr[gate + 2], CodeSelector);
            asm.mov(__word_ptr[gate + 4], (short)(ushort)(0x8e00 | (vector == DoubleFault ? 1 : 0)));
            asm.shr(rax, 16);
            asm.mov(__word_ptr[gate + 6], ax);
            asm.shr(rax, 16);
            asm.mov(__dword_ptr[gate + 8], eax);
            asm.mov(__dword_ptr[gate + 12], 0);
        }

        Label idtPointer = Constant(
            [.. BitConverter.GetBytes((ushort)((VectorCount * 16) - 1)), .. BitConverter.GetBytes((ulong)GuestLayout.Idt)]);
        asm.lidt(__[idtPointer]);

        asm.mov(eax, GuestLayout.LocalApic);
        asm.mov(__dword_ptr[rax + 0xf0], 0x100 | SpuriousVector); // enabled
        asm.mov(__dword_ptr[rax + 0x80], 0); // priority 0 lets everything in

        RoutePin(ConsolePin, ConsoleVector, level: false);
        for (int window = 0; window < GuestLayout.VirtioWindows; window++)
        {
            RoutePin(GuestLayout.VirtioFirstPin + window, FirstVirtioVector + window, level: true);
        }

        asm.ret();
    }

    /// <summary>Redirection entry to APIC 0, fixed, active high (82093AA data sheet, 3.2.4).</summary>
    private void RoutePin(int pin, int vector, bool level)
    {
        asm.mov(edx, GuestLayout.IoApic);
        asm.mov(__dword_ptr[rdx], 0x11 + (2 * pin));
        asm.mov(__dword_ptr[rdx + 0x10], 0);
        asm.mov(__dword_ptr[rdx], 0x10 + (2 * pin));
        asm.mov(__dword_ptr[rdx + 0x10], vector | (level ? 0x8000 : 0));
    }

    private void AssembleCommonHandler()
    {
        Label virtio = asm.CreateLabel();
        Label console = asm.CreateLabel();
        Label timer = asm.CreateLabel();
        Label leave = asm.CreateLabel();
        asm.Label(ref _common);
        asm.cld();
        foreach (AssemblerRegister64 register in Pushed.Reverse())
        {
            asm.push(register);
        }

        asm.mov(eax, __dword_ptr[rsp + SavedVector]);
        asm.cmp(eax, SpuriousVector);
        asm.je(leave);
        asm.cmp(eax, FirstVirtioVector);
        asm.jae(virtio);
        asm.cmp(eax, TimerVector);
        asm.je(timer);
        asm.cmp(eax, ConsoleVector);
        asm.je(console);
        AssembleFault(leave);

        asm.Label(ref virtio);
        asm.sub(eax, FirstVirtioVector);
        asm.imul(eax, __dword_ptr[WindowStride]);
        asm.add(eax, GuestLayout.VirtioBase);
        asm.mov(ecx, __dword_ptr[rax + VirtioInterruptStatus]);
        asm.mov(__dword_ptr[rax + VirtioInterruptAck], ecx);
        asm.jmp(_endOfInterrupt);

        asm.Label(ref console);
        asm.call(_receiveConsole);
        asm.jmp(_endOfInterrupt);

        asm.Label(ref timer);
        asm.inc(__qword_ptr[Ticks]);

        asm.Label(ref _endOfInterrupt);
        asm.mov(eax, GuestLayout.LocalApic);
        asm.mov(__dword_ptr[rax + 0xb0], 0);

        asm.Label(ref leave);
        foreach (AssemblerRegister64 register in Pushed)
        {
            asm.pop(register);
        }

        asm.add(rsp, 16);
        asm.iretq();
    }

    /// <summary>
    /// A fault that the workload expects is noted; it goes on at the address the workload named, or, for a page fault without
    /// one, the page is mapped and the instruction runs again. Any other fault is reported and resets the machine.
    /// </summary>
    private void AssembleFault(Label leave)
    {
        Label unexpected = asm.CreateLabel();
        Label retry = asm.CreateLabel();
        asm.cmp(rax, __qword_ptr[ExpectedVector]);
        asm.jne(unexpected);
        asm.shl(rax, 32);
        asm.or(rax, __qword_ptr[rsp + SavedError]);
        asm.mov(__qword_ptr[FaultSeen], rax);
        asm.mov(rcx, cr2);
        asm.mov(__qword_ptr[FaultAddress], rcx);
        asm.mov(rdx, __qword_ptr[ResumeAt]);
        asm.test(rdx, rdx);
        asm.je(retry);
        asm.mov(__qword_ptr[rsp + SavedRip], rdx);
        asm.jmp(leave);

        asm.Label(ref retry);
        asm.shr(rcx, 12);
        asm.and(ecx, GuestLayout.WorkPageCount - 1);
        asm.mov(eax, ecx);
        asm.shl(eax, 12);
        asm.add(eax, GuestLayout.WorkPages | 3);
        asm.mov(__qword_ptr[(rcx * 8) + GuestLayout.WorkPageTable], rax);
        asm.jmp(leave);

        asm.Label(ref unexpected);
        Print("unexpected fault ");
        asm.mov(rdi, __qword_ptr[rsp + SavedVector]);
        asm.call(_printHex);
        Print(" error ");
        asm.mov(rdi, __qword_ptr[rsp + SavedError]);
        asm.call(_printHex);
        Print(" at ");
        asm.mov(rdi, __qword_ptr[rsp + SavedRip]);
        asm.call(_printHex);
        Print("\n");
        asm.jmp(_reset);
    }
}
