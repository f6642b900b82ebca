using FtAkka.Cpu.State;
using FtAkka.Cpu.Tests.Engine;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Determinism;

/// <summary>
/// A guest that runs random bytes for ever: 16 KiB of user code that may do what it likes, and a kernel whose one handler, on every
/// exception and interrupt, draws the next entry point, changes page-table entries of the data pages, switches between two address
/// spaces and overwrites code bytes, all from a seeded generator inside the guest. With <c>upper</c> the code runs where kernels do: in global pages of the
/// upper half, which the handler maps to other frames now and then.
/// </summary>
internal sealed unsafe class FuzzGuest : IDisposable
{
    private const ulong CodeBytes = 0x4000, DataPages = 32, Seed = 0x9F000, KernelStack = 0x88000, OtherPml4 = 0x8000, SystemCall = GuestHarness.Handlers + 0x1800;
    private const ulong UpperHalf = 0xFFFF_8000_0000_0000, UpperPdpt = 0xA000, UpperPd = 0xB000, UpperPageTable = 0xC000, Global = 0x100;
    private const byte InterruptVector = 0x40;
    private readonly GuestHarness _guest;
    private readonly bool _upper;

    public FuzzGuest(int seed, uint privilege, int maxBlockInstructions = 64, bool real = false, bool upper = false, ulong flagNoise = 0)
    {
        _upper = upper;
        _guest = new GuestHarness(2 << 20, new VcpuOptions { CodeCacheBytes = 1 << 20, MaxBlockInstructions = maxBlockInstructions, FlagNoiseSeed = flagNoise });
        var random = new Random(seed);
        FillCode(random, real);
        var data = new byte[DataPages * 4096];
        random.NextBytes(data);
        _guest.Write(GuestHarness.Data, data);
        ProtectKernel();
        BuildKernel();
        _guest.Write64(Seed, (ulong)random.NextInt64());
        _guest.Bus.OnAcknowledge = () =>
        {
            Vcpu.InterruptLine = false;
            return InterruptVector;
        };
        _guest.Bus.Tsc = () => Vcpu.Icount / 16;
        CpuState* s = _guest.State;
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = GuestHarness.Data + (ulong)random.Next((int)DataPages * 4096);
        }
        for (int i = 0; i < 512; i++)
        {
            s->Vector[i] = (i & 16) == 0 ? (byte)random.Next(256) : (byte)0;
        }
        s->Gpr[4] = GuestHarness.Data + 0x10000;
        s->Rflags = 0x202;
        _guest.SetPrivilege(privilege);
        s->Rip = (upper ? UpperHalf : 0) + GuestHarness.Code;
        s->Cr4 |= upper ? 0x80UL : 0; // PGE
        s->Cr4 |= 0x10000; // FSGSBASE
        s->Star = (0x18UL << 48) | (0x10UL << 32);
        s->Lstar = SystemCall;
        s->Fmask = 0x47700;
        _guest.Vcpu.Mmu.FlushAll();
    }

    public Vcpu Vcpu => _guest.Vcpu;

    /// <summary>Random bytes, or mutated real instructions, which get further before they fault.</summary>
    private void FillCode(Random random, bool real)
    {
        var code = new byte[CodeBytes];
        random.NextBytes(code);
        if (real)
        {
            RealCode.Fill(code, random);
            for (int i = 0; i < 40; i++)
            {
                code[random.Next(code.Length)] ^= (byte)(1 << random.Next(8));
            }
        }
        _guest.Write(GuestHarness.Code, code);
    }

    private void ProtectKernel()
    {
        for (ulong page = 0; page < 0xA0; page++)
        {
            bool user = page is >= 0x10 and < 0x14 or >= 0x40 and < 0x60;
            ulong entry = (page << 12) | GuestHarness.Present | GuestHarness.Writable | (user ? GuestHarness.User : 0);
            _guest.Write64(GuestHarness.PageTable + (8 * page), entry);
        }
        // The rest of the mapping is the kernel's alone; user code that strays there faults.
        for (ulong i = 1; i < 512; i++)
        {
            _guest.Write64(GuestHarness.Pd + (8 * i), (i << 21) | GuestHarness.Present | GuestHarness.Writable | GuestHarness.LargePage);
        }
        if (_upper)
        {
            MapUpperHalf();
        }
        _guest.Write64(OtherPml4, _guest.Read64(GuestHarness.Pml4));
        _guest.Write64(OtherPml4 + (8 * 256), _guest.Read64(GuestHarness.Pml4 + (8 * 256)));
        _guest.Write64(GuestHarness.Tss + 0x24, KernelStack); // IST1
    }

    private void MapUpperHalf()
    {
        const ulong table = GuestHarness.Present | GuestHarness.Writable | GuestHarness.User;
        _guest.Write64(GuestHarness.Pml4 + (8 * 256), UpperPdpt | table);
        _guest.Write64(UpperPdpt, UpperPd | table);
        _guest.Write64(UpperPd, UpperPageTable | table);
        for (ulong page = GuestHarness.Code >> 12; page < (GuestHarness.Code + CodeBytes) >> 12; page++)
        {
            _guest.Write64(UpperPageTable + (8 * page), (page << 12) | table | Global);
        }
    }

    private void BuildKernel()
    {
        const ulong common = GuestHarness.Handlers + 0x1000;
        foreach (byte vector in Enumerable.Range(0, 32).Select(v => (byte)v).Append(InterruptVector))
        {
            ulong entry = GuestHarness.Handlers + (16UL * vector);
            bool hasErrorCode = vector is 8 or 10 or 11 or 12 or 13 or 14 or 17;
            _guest.Gate(vector, entry, dpl: 3, ist: 1);
            _guest.Assemble(a =>
            {
                if (hasErrorCode)
                {
                    a.add(rsp, 8);
                }
                a.jmp(vector == InterruptVector ? common + 0x400 : common);
            }, entry);
        }
        _guest.Assemble(a => BuildHandler(a), common);
        _guest.Assemble(a =>
        {
            a.swapgs();
            a.inc(__qword_ptr[Seed + 24]);
            a.swapgs();
            a.sysretq();
        }, SystemCall);
        _guest.Assemble(a =>
        {
            a.inc(__qword_ptr[Seed + 16]);
            a.iretq();
        }, common + 0x400);
    }

    private void BuildHandler(Assembler a)
    {
        Label noSwitch = a.CreateLabel(), noStore = a.CreateLabel();
        a.push(rax);
        a.push(rbx);
        a.push(rcx);
        a.mov(rax, __qword_ptr[Seed]);
        a.mov(rbx, 6364136223846793005);
        a.imul(rax, rbx);
        a.mov(rbx, 1442695040888963407);
        a.add(rax, rbx);
        a.mov(__qword_ptr[Seed], rax);
        a.mov(rbx, rax);
        a.shr(rbx, 40);
        a.and(ebx, (int)CodeBytes - 1);
        a.mov(rcx, (_upper ? UpperHalf : 0) + GuestHarness.Code);
        a.add(rbx, rcx);
        a.mov(__qword_ptr[rsp + 24], rbx);
        a.mov(__qword_ptr[rsp + 40], 0x202);
        a.mov(rbx, rax);
        a.shr(rbx, 20);
        a.and(ebx, (int)DataPages - 1);
        a.mov(rcx, rax);
        a.shr(rcx, 50);
        a.and(ecx, 7);
        a.xor(__[(rbx * 8) + (int)(GuestHarness.PageTable + (8 * 0x40))], rcx);
        a.test(al, 0x30);
        a.jnz(noSwitch);
        a.mov(rcx, cr3);
        a.xor(ecx, (int)(GuestHarness.Pml4 ^ OtherPml4));
        a.mov(cr3, rcx);
        a.Label(ref noSwitch);
        if (_upper)
        {
            BuildRemapping(a);
        }
        a.test(eax, 0x700);
        a.jnz(noStore);
        a.mov(rbx, rax);
        a.shr(rbx, 30);
        a.and(ebx, (int)CodeBytes - 1);
        a.mov(__[rbx + (int)GuestHarness.Code], al);
        a.Label(ref noStore);
        a.pop(rcx);
        a.pop(rbx);
        a.pop(rax);
        a.iretq();
    }

    /// <summary>Now and then: maps a page of code to another frame, or writes an entry of an upper table anew.</summary>
    private static void BuildRemapping(Assembler a)
    {
        Label keep = a.CreateLabel(), keepUpper = a.CreateLabel();
        a.test(eax, 0x3800);
        a.jnz(keep);
        a.mov(rbx, rax);
        a.shr(rbx, 33);
        a.and(ebx, 3);
        a.xor(__qword_ptr[(rbx * 8) + (long)(UpperPageTable + (8 * (GuestHarness.Code >> 12)))], 0x1000);
        a.Label(ref keep);
        a.test(eax, 0x1F0000);
        a.jnz(keepUpper);
        a.mov(rbx, __qword_ptr[UpperPd]);
        a.mov(__qword_ptr[UpperPd], rbx);
        a.Label(ref keepUpper);
    }

    /// <summary>Digest of registers and all of RAM.</summary>
    public ulong Digest()
    {
        ulong hash = 14695981039346656037;
        Span<byte> state = stackalloc byte[Vcpu.StateBytes];
        Vcpu.SaveState(state);
        hash = Hash(hash, state);
        for (int page = 0; page < _guest.Memory.PageCount; page++)
        {
            hash = Hash(hash, _guest.Memory.Page(page));
        }
        return hash;
    }

    private static ulong Hash(ulong hash, ReadOnlySpan<byte> bytes)
    {
        foreach (ulong word in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            hash = (System.Numerics.BitOperations.RotateLeft(hash, 29) ^ word) * 0x9E37_79B9_7F4A_7C15;
        }
        return hash;
    }

    /// <summary>Moves registers and RAM into another instance, whose own caches are empty.</summary>
    public void CopyTo(FuzzGuest other)
    {
        for (int page = 0; page < _guest.Memory.PageCount; page++)
        {
            other._guest.Write((ulong)page << 12, _guest.Memory.Page(page));
        }
        var state = new byte[Vcpu.StateBytes];
        Vcpu.SaveState(state);
        Assert.True(other.Vcpu.TryRestoreState(state));
    }

    public void Dispose() => _guest.Dispose();
}
