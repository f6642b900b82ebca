using System.Buffers.Binary;
using FtAkka.Cpu;
using FtAkka.Cpu.Verification;

namespace FtAkka.CpuBench;

/// <summary>The programs inside a guest: ring 3, 4 KiB pages, exact instruction counts.</summary>
internal sealed class GuestProgram : IDisposable
{
    private const ulong CodeBase = 0x40_0000, ArenaBase = 0x7F00_0000_0000, StackTop = 0x7FFF_FFFF_F000, ReturnAddress = 0x30_0000;
    private const int StackPages = 16;
    private const ulong Slice = 50_000_000;

    private readonly VerificationGuest _guest;

    public GuestProgram(byte[] image)
    {
        _guest = new VerificationGuest(64ul << 20, new EmptyBus());
        MapRange(CodeBase, (image.Length + 4095) / 4096, PageRights.User, image);
        MapRange(ReturnAddress, 1, PageRights.User, [0x0F, 0x05]); // SYSCALL: enters a HLT in ring 0
        byte[] stack = new byte[StackPages * 4096];
        BinaryPrimitives.WriteUInt64LittleEndian(stack.AsSpan(stack.Length - 8), ReturnAddress);
        MapRange(StackTop - (StackPages * 4096), StackPages, PageRights.User | PageRights.Write | PageRights.NoExecute, stack);
        MapRange(ArenaBase, ProgramImage.ArenaBytes / 4096, PageRights.User | PageRights.Write | PageRights.NoExecute, []);
    }

    public ulong Icount => _guest.Vcpu.Icount;

    /// <summary>Calls a program; what it returns.</summary>
    public long Call(int entryOffset)
    {
        MachineState state = Enter(CodeBase + (ulong)entryOffset);
        while (true)
        {
            VcpuExitReason reason = _guest.Vcpu.Run(Slice);
            if (reason == VcpuExitReason.BudgetSpent) { continue; }
            _guest.Store(state);
            return reason == VcpuExitReason.Halted && state.Rip == VerificationGuest.SyscallEntry + 1
                ? (long)state.Gpr[0]
                : throw new InvalidOperationException($"The program ended with {reason} at {state.Rip:x}: {_guest.Exception()}");
        }
    }

    /// <summary>A guest whose only program, at offset 0, is executed once: see <see cref="TranslationWorkload"/>.</summary>
    public static GuestProgram CreateTranslationWorkload(ReadOnlySpan<byte> source, int codeBytes, out int instructions)
    {
        byte[] code = new byte[codeBytes];
        instructions = TranslationWorkload.Fill(code, CodeBase, source);
        return new GuestProgram(code);
    }

    public void Dispose() => _guest.Dispose();

    private MachineState Enter(ulong rip)
    {
        var state = new MachineState { Rip = rip, Mxcsr = 0x1F80, Fcw = 0x37F };
        state.Gpr[7] = ArenaBase;
        state.Gpr[4] = StackTop - 8; // as after a CALL: the return address is on the stack, which is 16-aligned above it
        _guest.EnterRing(3);
        _guest.Load(state);
        return state;
    }

    private void MapRange(ulong linear, int pages, PageRights rights, ReadOnlySpan<byte> contents)
    {
        for (int i = 0; i < pages; i++)
        {
            ulong physical = _guest.AllocatePage();
            _guest.Map(linear + ((ulong)i * 4096), physical, rights);
            ReadOnlySpan<byte> rest = contents.Length > i * 4096 ? contents[(i * 4096)..] : [];
            _guest.WritePhysical(physical, rest[..Math.Min(4096, rest.Length)]);
        }
    }

    /// <summary>A platform with nothing on it: the programs use only RAM.</summary>
    private sealed class EmptyBus : ICpuBus
    {
        public ulong MmioRead(ulong physicalAddress, int size) => ulong.MaxValue;

        public void MmioWrite(ulong physicalAddress, int size, ulong value)
        {
        }

        public uint PortRead(ushort port, int size) => uint.MaxValue;

        public void PortWrite(ushort port, int size, uint value)
        {
        }

        public byte AcknowledgeInterrupt() => 0xFF;

        public ulong ReadTimestampCounter() => 0;

        public bool TryReadMsr(uint msr, out ulong value)
        {
            value = 0;
            return false;
        }

        public bool TryWriteMsr(uint msr, ulong value) => false;

        public ulong ReadCr8() => 0;

        public void WriteCr8(ulong taskPriority)
        {
        }
    }
}
