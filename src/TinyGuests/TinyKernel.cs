using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// Assembles the tiny guest: a 64-bit kernel of a few KiB with its own descriptor tables and page tables, a LAPIC timer, a UART
/// and drivers for virtio-blk and virtio-net over virtio-mmio. Its entry is the one of the 64-bit Linux boot protocol (Linux
/// Documentation/arch/x86/boot.rst): RSI points at boot_params, memory is identity-mapped, interrupts are off.
///
/// Conventions of the code: arguments in RDI, RSI, RDX, result in RAX; a routine may change everything but RBX, RBP and R12-R15.
/// Each part of the class assembles one topic.
/// </summary>
internal sealed partial class TinyKernel
{
    // Variables, eight bytes each.
    private const uint BootParameters = GuestLayout.Variables;
    private const uint Ticks = GuestLayout.Variables + 0x08;
    private const uint HasDeadlineTimer = GuestLayout.Variables + 0x10;
    private const uint ExpectedVector = GuestLayout.Variables + 0x18;
    private const uint ResumeAt = GuestLayout.Variables + 0x20;
    private const uint FaultSeen = GuestLayout.Variables + 0x28;
    private const uint FaultAddress = GuestLayout.Variables + 0x30;
    private const uint ConsoleHead = GuestLayout.Variables + 0x38;
    private const uint ConsoleTail = GuestLayout.Variables + 0x40;
    private const uint WindowStride = GuestLayout.Variables + 0x48;
    private const uint BlockWindow = GuestLayout.Variables + 0x50;
    private const uint NetWindow = GuestLayout.Variables + 0x58;
    private const uint Seed = GuestLayout.Variables + 0x60;
    private const uint MacAddress = GuestLayout.Variables + 0x68;
    private const uint EchoSequence = GuestLayout.Variables + 0x70;
    private const uint EchoServed = GuestLayout.Variables + 0x78;
    private const uint EchoState = GuestLayout.Variables + 0x80;
    private const uint EchoFrameBytes = GuestLayout.Variables + 0x88;
    private const uint ServicePeriod = GuestLayout.Variables + 0x90;
    private const uint ServiceRecords = GuestLayout.Variables + 0x98;
    private const uint EntropyWindow = GuestLayout.Variables + 0xa0;
    private const uint DemandRounds = GuestLayout.Variables + 0xa8;
    private const uint DemandCapacity = GuestLayout.Variables + 0xb0;
    private const uint DemandCount = GuestLayout.Variables + 0xb8;
    private const uint DemandHot = GuestLayout.Variables + 0xc0;
    private const uint DemandTime = GuestLayout.Variables + 0xc8;
    private const uint DemandSeen = GuestLayout.Variables + 0xd0;
    private const uint DemandWaits = GuestLayout.Variables + 0xd8;

    private readonly Assembler asm = new(64);
    private readonly List<(Label Label, byte[] Bytes)> _constants = [];

    private Label _power;
    private Label _reset;

    public TinyKernel()
    {
        _power = asm.CreateLabel();
        _reset = asm.CreateLabel();
        CreateConsoleLabels();
        CreateCommandLineLabels();
        CreateInterruptLabels();
        CreateTimerLabels();
        CreateVirtioLabels();
        CreateWorkloadLabels();
    }

    /// <summary>Machine code and constants, to be loaded at <see cref="GuestLayout.ImageBase"/>, which is also the entry.</summary>
    public byte[] Assemble()
    {
        AssembleEntry();
        AssemblePower();
        AssembleTables();
        AssembleInterrupts();
        AssembleConsole();
        AssembleCommandLine();
        AssembleTimer();
        AssembleVirtio();
        AssembleBlock();
        AssembleNet();
        AssembleWorkloads();
        AssembleConstants();

        using var code = new MemoryStream();
        asm.Assemble(new StreamCodeWriter(code), GuestLayout.ImageBase);
        return code.Length <= GuestLayout.CodeBytesMax
            ? code.ToArray()
            : throw new InvalidOperationException($"the tiny guest's code takes {code.Length} bytes");
    }

    private void AssembleEntry()
    {
        asm.cli();
        asm.cld();
        asm.mov(rsp, GuestLayout.StackTop);
        asm.mov(__qword_ptr[BootParameters], rsi);
        asm.call(_setUpTables);
        asm.call(_setUpInterrupts);
        asm.call(_setUpConsole);
        asm.call(_setUpTimer);
        Parameter("stride", GuestLayout.VirtioStride);
        asm.mov(__qword_ptr[WindowStride], rax);
        Parameter("seed", 1);
        asm.mov(__qword_ptr[Seed], rax);
        asm.call(_findDevices);
        asm.jmp(_runWorkload);
    }

    private void AssemblePower()
    {
        asm.Label(ref _power);
        asm.mov(eax, GuestLayout.SleepControl);
        asm.mov(__byte_ptr[rax], 0x34); // SLP_TYP 5, SLP_EN (ACPI 6.5, table 4.19)
        HaltForever();

        asm.Label(ref _reset);
        asm.mov(eax, GuestLayout.Reset);
        asm.mov(__byte_ptr[rax], 0x42);
        HaltForever();
    }

    private void HaltForever()
    {
        Label again = asm.CreateLabel();
        asm.Label(ref again);
        asm.cli();
        asm.hlt();
        asm.jmp(again);
    }

    /// <summary>A label of a constant that is placed after the code.</summary>
    private Label Constant(byte[] bytes)
    {
        Label label = asm.CreateLabel();
        _constants.Add((label, bytes));
        return label;
    }

    private Label Text(string text) => Constant(System.Text.Encoding.ASCII.GetBytes(text + "\0"));

    private void AssembleConstants()
    {
        foreach ((Label label, byte[] bytes) in _constants)
        {
            Label placed = label;
            asm.Label(ref placed);
            asm.db(bytes);
        }
    }
}
