using System.Globalization;
using System.Security.Cryptography;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Architecture;

/// <summary>RAM before a run, as the byte-wise model uses it.</summary>
internal sealed record StringModel(byte[] Ram);

/// <summary>One random REP string instruction with its surroundings: sizes, direction, overlap, aliased mappings, page ends and faults.</summary>
internal sealed unsafe record StringPlan(byte Opcode, int Size, bool Repne, bool Backward, ulong Source, ulong Destination, ulong Count, ulong Accumulator, int Fill, ulong AbsentPage)
{
    private const ulong Window = 0x40000;
    private const int WindowBytes = 0x8000;

    public static StringPlan Create(Random random)
    {
        byte[] opcodes = [0xA5, 0xA5, 0xA5, 0xA7, 0xAB, 0xAD, 0xAF];
        byte opcode = opcodes[random.Next(opcodes.Length)];
        int size = 1 << random.Next(4);
        ulong source = Window + 0x2000 + (ulong)random.Next(0x2000);
        // Often near the source, so that the ranges overlap by less than an element, by more, or not at all.
        ulong destination = random.Next(2) == 0 ? source + (ulong)random.Next(-40, 41) : Window + 0x2000 + (ulong)random.Next(0x2000);
        if (random.Next(3) == 0)
            destination += ArchitectureRig.Alias;
        ulong absent = random.Next(4) == 0 ? Window + ((ulong)random.Next(8) * 0x1000) : 0;
        return new StringPlan(opcode, size, random.Next(2) == 0, random.Next(2) == 0, source, destination, (ulong)random.Next(1, random.Next(2) == 0 ? 20 : 1200),
            (ulong)random.NextInt64(), random.Next(3), absent);
    }

    private byte[] Code
    {
        get
        {
            byte opcode = (byte)(Size == 1 ? Opcode - 1 : Opcode);
            byte repeat = Repne ? (byte)0xF2 : (byte)0xF3;
            return Size switch
            {
                2 => [0x66, repeat, opcode],
                8 => [repeat, 0x48, opcode],
                _ => [repeat, opcode],
            };
        }
    }

    private ArchitectureRig Prepare()
    {
        var rig = new ArchitectureRig();
        CpuState* s = rig.State;
        byte[] window = new byte[WindowBytes];
        for (int at = 0; at < window.Length; at++)
        {
            // Constant, nearly constant or varied: scans and comparisons then end late, somewhere or at once.
            window[at] = Fill switch { 0 => 0x11, 1 => at % 977 == 0 ? (byte)0x12 : (byte)0x11, _ => (byte)((at * 7) ^ (at >> 5)) };
        }
        Assert.True(rig.Memory.TryWrite(Window, window));
        if (AbsentPage != 0)
            rig.SetPage(AbsentPage, 0);
        s->Gpr[0] = Fill == 2 ? Accumulator : 0x1111111111111111;
        s->Gpr[1] = Count;
        s->Gpr[6] = Source;
        s->Gpr[7] = Destination;
        if (Backward)
            s->Rflags |= Rflags.Direction;
        return rig;
    }

    /// <summary>Runs to the end or the fault, whole or in random budgets, and describes the outcome.</summary>
    public string Execute(Random? budgets, out StringModel before)
    {
        using ArchitectureRig rig = Prepare();
        byte[] ram = new byte[0x80000];
        Assert.True(rig.Memory.TryRead(0, ram));
        before = new StringModel(ram);
        ulong ticks = 0;
        InstructionOutcome outcome;
        do
        {
            ulong budget = budgets is null ? ulong.MaxValue : (ulong)budgets.Next(1, budgets.Next(2) == 0 ? 5 : 500);
            outcome = rig.RunBytes(Code, budget);
            Assert.True(rig.Ticks <= budget);
            ticks += rig.Ticks;
        }
        while (outcome == InstructionOutcome.Partial);
        CpuState* s = rig.State;
        byte[] after = new byte[ram.Length];
        Assert.True(rig.Memory.TryRead(0, after));
        Code.CopyTo(ram, (int)ArchitectureRig.Code);
        string fault = outcome == InstructionOutcome.Fault ? $"{rig.Context.Fault.Vector} {rig.Context.Fault.ErrorCode} {rig.Context.Fault.Cr2:X}" : "none";
        return Describe(ticks, s->Gpr[0], s->Gpr[1], s->Gpr[6], s->Gpr[7], s->Rflags, s->Rip, fault, after);
    }

    private static string Describe(ulong ticks, ulong rax, ulong rcx, ulong rsi, ulong rdi, ulong rflags, ulong rip, string fault, byte[] ram)
    {
        // The paging structures are compared too: accessed and dirty bits.
        string hash = Convert.ToHexString(SHA256.HashData(ram));
        return string.Create(CultureInfo.InvariantCulture,
            $"ticks {ticks} rax {rax:X} rcx {rcx:X} rsi {rsi:X} rdi {rdi:X} rflags {rflags:X} rip {rip:X} fault {fault} ram {hash}");
    }

    /// <summary>The same description from a model that does one byte-wise iteration at a time.</summary>
    public string Predict(StringModel before)
    {
        byte[] ram = before.Ram;
        ulong rax = Fill == 2 ? Accumulator : 0x1111111111111111, rcx = Count, rsi = Source, rdi = Destination, ticks = 0;
        ulong rflags = Rflags.Fixed1 | (Backward ? Rflags.Direction : 0), rip = ArchitectureRig.Code + (ulong)Code.Length;
        ulong mask = Size == 8 ? ulong.MaxValue : (1ul << (Size * 8)) - 1;
        string fault = "none";
        while (rcx != 0 && fault == "none")
        {
            bool useSource = Opcode is 0xA5 or 0xA7 or 0xAD, useDestination = Opcode != 0xAD, store = Opcode is 0xA5 or 0xAB;
            ulong a = 0, b = 0;
            if (useSource && !TryTouch(ram, rsi, write: false, ref a, ref fault))
                break;
            if (useDestination && !TryTouch(ram, rdi, store, ref b, ref fault))
                break;
            switch (Opcode)
            {
                case 0xA5: Put(ram, rdi, a); break;
                case 0xAB: Put(ram, rdi, rax); break;
                case 0xAD: rax = Size >= 4 ? a : (rax & ~mask) | a; break;
            }
            ulong step = (ulong)(Backward ? -Size : Size);
            rsi += useSource ? step : 0;
            rdi += useDestination ? step : 0;
            rcx--;
            ticks++;
            if (Opcode is not (0xA7 or 0xAF))
                continue;
            ulong left = Opcode == 0xA7 ? a : rax & mask;
            rflags = (rflags & ~Rflags.Arithmetic) | StringInstructions.SubtractFlags(left, b, Size);
            if (left == b == Repne)
                break;
        }
        if (fault != "none")
            rip = ArchitectureRig.Code;
        Code.CopyTo(ram, (int)ArchitectureRig.Code);
        return Describe(ticks, rax, rcx, rsi, rdi, rflags, rip, fault, ram);
    }

    /// <summary>Translates every byte of an element through the rig's tables, setting accessed and dirty bits, and reads it.</summary>
    private bool TryTouch(byte[] ram, ulong address, bool write, ref ulong value, ref string fault)
    {
        for (int n = 0; n < Size; n++)
        {
            ulong at = address + (ulong)n;
            bool alias = at >= ArchitectureRig.Alias;
            int page = (int)(at % ArchitectureRig.Alias) >> 12;
            int leaf = (alias ? 0x5000 : 0x4000) + (page * 8);
            if ((ram[leaf] & 1) == 0)
            {
                fault = $"14 {(write ? 2 : 0)} {at:X}";
                return false;
            }
            int[] path = alias ? [0x1000, 0x2008, 0x6000] : [0x1000, 0x2000, 0x3000];
            foreach (int entry in path)
                ram[entry] |= 0x20;
            ram[leaf] |= (byte)(write ? 0x60 : 0x20);
            value |= (ulong)ram[at % ArchitectureRig.Alias] << (n * 8);
        }
        return true;
    }

    private void Put(byte[] ram, ulong address, ulong value)
    {
        for (int n = 0; n < Size; n++)
            ram[(address + (ulong)n) % ArchitectureRig.Alias] = (byte)(value >> (n * 8));
    }
}
