using System.Diagnostics;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>Host register numbers with a fixed role in emitted code. Guest registers not named here sit in the host register of the same number.</summary>
internal static class HostReg
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7, R8 = 8, R12 = 12, R13 = 13, R14 = 14, R15 = 15;
    /// <summary>Scratch for checks and shift counts; jrcxz needs it.</summary>
    public const int Scratch = Rcx;
    /// <summary>Guest RCX lives here.</summary>
    public const int GuestRcx = R12;
    /// <summary>Guest RSP lives here.</summary>
    public const int GuestRsp = R13;
    /// <summary>Effective address.</summary>
    public const int Address = R14;
    /// <summary>TLB index, then addend.</summary>
    public const int Addend = R15;
    public const int None = -1;
}

/// <summary>
/// Byte-level emitter for the few instruction shapes that the translator adds around re-encoded guest instructions. None of its
/// shapes changes RFLAGS unless its name says so: guest flags live in host flags all the time.
/// </summary>
internal sealed partial class HostAssembler : CodeWriter
{
    private byte[] _buffer = new byte[32 * 1024];

    /// <summary>Bytes emitted so far.</summary>
    public int Position { get; private set; }

    /// <summary>Host address of the first byte of the buffer.</summary>
    public long BaseAddress { get; private set; }

    /// <summary>Host address of the next byte.</summary>
    public long Here => BaseAddress + Position;

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, Position);

    public void Reset(long baseAddress)
    {
        Position = 0;
        BaseAddress = baseAddress;
    }

    /// <summary>Takes back what was emitted from a position on.</summary>
    public void Rewind(int position) => Position = position;

    public override void WriteByte(byte value)
    {
        if (Position == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
        _buffer[Position++] = value;
    }

    public void Dword(int value)
    {
        WriteByte((byte)value);
        WriteByte((byte)(value >> 8));
        WriteByte((byte)(value >> 16));
        WriteByte((byte)(value >> 24));
    }

    private void Qword(ulong value)
    {
        Dword((int)value);
        Dword((int)(value >> 32));
    }

    public void PatchByte(int position, byte value) => _buffer[position] = value;

    public void PatchDword(int position, int value)
    {
        _buffer[position] = (byte)value;
        _buffer[position + 1] = (byte)(value >> 8);
        _buffer[position + 2] = (byte)(value >> 16);
        _buffer[position + 3] = (byte)(value >> 24);
    }

    /// <summary>REX.W-capable one-byte opcode with a register-direct r/m.</summary>
    private void OpRegReg(byte opcode, int reg, int rm, bool wide)
    {
        int rex = (wide ? 8 : 0) | ((reg >> 3) << 2) | (rm >> 3);
        if (rex != 0)
        {
            WriteByte((byte)(0x40 | rex));
        }
        WriteByte(opcode);
        WriteByte((byte)(0xC0 | ((reg & 7) << 3) | (rm & 7)));
    }

    /// <summary>ModRM, SIB and displacement of [base + index*scale + disp]; either register may be <see cref="HostReg.None"/>.</summary>
    private void ModRmMemory(int reg, int baseReg, int index, int scaleLog2, int disp)
    {
        int regBits = (reg & 7) << 3;
        if (baseReg == HostReg.None)
        {
            WriteByte((byte)(regBits | 4));
            WriteByte((byte)((scaleLog2 << 6) | ((index == HostReg.None ? 4 : index & 7) << 3) | 5));
            Dword(disp);
            return;
        }
        bool needsSib = index != HostReg.None || (baseReg & 7) == 4;
        int mod = disp == 0 && (baseReg & 7) != 5 ? 0 : disp is >= -128 and <= 127 ? 1 : 2;
        WriteByte((byte)((mod << 6) | regBits | (needsSib ? 4 : baseReg & 7)));
        if (needsSib)
        {
            WriteByte((byte)((scaleLog2 << 6) | ((index == HostReg.None ? 4 : index & 7) << 3) | (baseReg & 7)));
        }
        if (mod == 1)
        {
            WriteByte((byte)disp);
        }
        else if (mod == 2)
        {
            Dword(disp);
        }
    }

    private static int RexBits(bool wide, int reg, int baseReg, int index) =>
        (wide ? 8 : 0) | ((reg >> 3) << 2) | (index == HostReg.None ? 0 : (index >> 3) << 1) | (baseReg == HostReg.None ? 0 : baseReg >> 3);

    private void OpMemory(byte opcode, int reg, int baseReg, int index, int scaleLog2, int disp, bool wide)
    {
        int rex = RexBits(wide, reg, baseReg, index);
        if (rex != 0)
        {
            WriteByte((byte)(0x40 | rex));
        }
        WriteByte(opcode);
        ModRmMemory(reg, baseReg, index, scaleLog2, disp);
    }

    public void Mov(int dst, int src) => OpRegReg(0x8B, dst, src, wide: true);

    public void Mov32(int dst, int src) => OpRegReg(0x8B, dst, src, wide: false);

    public void Not(int reg) => OpRegReg(0xF7, 2, reg, wide: true);

    public void MovsxDword(int dst, int src) => OpRegReg(0x63, dst, src, wide: true);

    public void MovsxWord(int dst, int src)
    {
        WriteByte((byte)(0x48 | ((dst >> 3) << 2) | (src >> 3)));
        WriteByte(0x0F);
        WriteByte(0xBF);
        WriteByte((byte)(0xC0 | ((dst & 7) << 3) | (src & 7)));
    }

    /// <summary>movzx dst32, src16.</summary>
    public void MovzxWord(int dst, int src)
    {
        int rex = ((dst >> 3) << 2) | (src >> 3);
        if (rex != 0)
        {
            WriteByte((byte)(0x40 | rex));
        }
        WriteByte(0x0F);
        WriteByte(0xB7);
        WriteByte((byte)(0xC0 | ((dst & 7) << 3) | (src & 7)));
    }

    /// <summary>mov dst16, src16: keeps the upper 48 bits of dst.</summary>
    public void MovWord(int dst, int src)
    {
        WriteByte(0x66);
        OpRegReg(0x8B, dst, src, wide: false);
    }

    /// <summary>mov dst8, src8 (low bytes): keeps the upper 56 bits of dst.</summary>
    public void MovByte(int dst, int src)
    {
        WriteByte((byte)(0x40 | ((dst >> 3) << 2) | (src >> 3))); // a REX prefix selects SPL to DIL instead of AH to BH
        WriteByte(0x8A);
        WriteByte((byte)(0xC0 | ((dst & 7) << 3) | (src & 7)));
    }

    /// <summary>movzx dst32, byte [base].</summary>
    public void LoadByte(int dst, int baseReg)
    {
        WriteByte((byte)(0x40 | RexBits(false, dst, baseReg, HostReg.None)));
        WriteByte(0x0F);
        WriteByte(0xB6);
        ModRmMemory(dst, baseReg, HostReg.None, 0, 0);
    }

    /// <summary>div/idiv reg. Flags become undefined.</summary>
    public void Divide(int reg, bool signed, bool wide) => OpRegReg(0xF7, signed ? 7 : 6, reg, wide);

    public void LoadFrame(int dst, int disp) => OpMemory(0x8B, dst, HostReg.Rsp, HostReg.None, 0, disp, wide: true);

    public void StoreFrame(int disp, int src) => OpMemory(0x89, src, HostReg.Rsp, HostReg.None, 0, disp, wide: true);

    /// <summary>mov dst, qword [index*8 + absolute] (address below 2 GiB).</summary>
    public void LoadTable(int dst, int index, long absolute) =>
        OpMemory(0x8B, dst, HostReg.None, index, 3, checked((int)absolute), wide: true);

    /// <summary>mov dst, qword [absolute] (address below 2 GiB).</summary>
    public void LoadAbsolute(int dst, long absolute) =>
        OpMemory(0x8B, dst, HostReg.None, HostReg.None, 0, checked((int)absolute), wide: true);

    /// <summary>lea dst, [base + index*scale + disp], 64-bit or 32-bit result.</summary>
    public void Lea(int dst, int baseReg, int index, int scaleLog2, int disp, bool wide = true) =>
        OpMemory(0x8D, dst, baseReg, index, scaleLog2, disp, wide);

    /// <summary>Loads 2, 4 (zero-extended) or 8 bytes from [base + index].</summary>
    public void Load(int dst, int baseReg, int index, int size)
    {
        if (size == 2)
        {
            int rex = RexBits(false, dst, baseReg, index);
            WriteByte((byte)(0x40 | rex));
            WriteByte(0x0F);
            WriteByte(0xB7);
            ModRmMemory(dst, baseReg, index, 0, 0);
            return;
        }
        OpMemory(0x8B, dst, baseReg, index, 0, 0, wide: size == 8);
    }

    /// <summary>Stores 1, 2, 4 or 8 bytes to [base + index].</summary>
    public void Store(int baseReg, int index, int src, int size)
    {
        if (size == 1)
        {
            WriteByte((byte)(0x40 | RexBits(false, src, baseReg, index)));
            WriteByte(0x88);
            ModRmMemory(src, baseReg, index, 0, 0);
            return;
        }
        if (size == 2)
        {
            WriteByte(0x66);
        }
        OpMemory(0x89, src, baseReg, index, 0, 0, wide: size == 8);
    }

    /// <summary>mov qword/word [base + index], sign-extended immediate.</summary>
    public void StoreImmediate(int baseReg, int index, int immediate, int size)
    {
        if (size == 2)
        {
            WriteByte(0x66);
        }
        OpMemory(0xC7, 0, baseReg, index, 0, 0, wide: size == 8);
        if (size == 2)
        {
            WriteByte((byte)immediate);
            WriteByte((byte)(immediate >> 8));
            return;
        }
        Dword(immediate);
    }

    /// <summary>Shortest flag-preserving load of a constant.</summary>
    public void MovImmediate(int dst, ulong value)
    {
        if (value <= uint.MaxValue)
        {
            if (dst >= 8)
            {
                WriteByte(0x41);
            }
            WriteByte((byte)(0xB8 | (dst & 7)));
            Dword((int)value);
        }
        else if ((long)value is >= int.MinValue and < 0)
        {
            OpRegReg(0xC7, 0, dst, wide: true);
            Dword((int)value);
        }
        else
        {
            WriteByte((byte)(0x48 | (dst >> 3)));
            WriteByte((byte)(0xB8 | (dst & 7)));
            Qword(value);
        }
    }

    /// <summary>shrx dst, src, count (64-bit): BMI2 shift that leaves flags alone.</summary>
    public void Shrx(int dst, int src, int count) => Vex38(0xF7, 3, wide: true, dst, src, count);

    /// <summary>sarx dst, src, count (64-bit).</summary>
    public void Sarx(int dst, int src, int count) => Vex38(0xF7, 2, wide: true, dst, src, count);

    /// <summary>pext dst, src, qword [rsp+disp].</summary>
    public void PextFrame(int dst, int src, int disp)
    {
        WriteByte(0xC4);
        WriteByte((byte)(((dst >> 3) != 0 ? 0 : 0x80) | 0x40 | 0x20 | 2));
        WriteByte((byte)(0x80 | ((~src & 15) << 3) | 2));
        WriteByte(0xF5);
        ModRmMemory(dst, HostReg.Rsp, HostReg.None, 0, disp);
    }

    /// <summary>pext dst, src, mask register.</summary>
    public void Pext(int dst, int src, int mask) => Vex38(0xF5, 2, wide: true, dst, mask, src);

    /// <summary>pdep dst, src, mask register.</summary>
    public void Pdep(int dst, int src, int mask) => Vex38(0xF5, 3, wide: true, dst, mask, src);

    private void Vex38(byte opcode, int pp, bool wide, int reg, int rm, int vvvv)
    {
        WriteByte(0xC4);
        WriteByte((byte)(((reg >> 3) != 0 ? 0 : 0x80) | 0x40 | ((rm >> 3) != 0 ? 0 : 0x20) | 2));
        WriteByte((byte)((wide ? 0x80 : 0) | ((~vvvv & 15) << 3) | pp));
        WriteByte(opcode);
        WriteByte((byte)(0xC0 | ((reg & 7) << 3) | (rm & 7)));
    }

    /// <summary>rorx rcx, rcx, 32.</summary>
    public void RotateScratchHalf()
    {
        WriteByte(0xC4);
        WriteByte(0xE3);
        WriteByte(0xFB);
        WriteByte(0xF0);
        WriteByte(0xC9);
        WriteByte(32);
    }

    /// <summary>jrcxz to a place not known yet; answers the position of its rel8.</summary>
    public int Jrcxz()
    {
        WriteByte(0xE3);
        WriteByte(0);
        return Position - 1;
    }

    /// <summary>jmp short to a place not known yet; answers the position of its rel8.</summary>
    public int JmpShort()
    {
        WriteByte(0xEB);
        WriteByte(0);
        return Position - 1;
    }

    /// <summary>Makes the rel8 at <paramref name="position"/> lead here.</summary>
    public void Bind(int position)
    {
        int distance = Position - (position + 1);
        Debug.Assert(distance is >= 0 and <= 127);
        PatchByte(position, (byte)distance);
    }

    public void Call(long target)
    {
        WriteByte(0xE8);
        Dword(checked((int)(target - (Here + 4))));
    }

    public void Jmp(long target)
    {
        WriteByte(0xE9);
        Dword(checked((int)(target - (Here + 4))));
    }

    /// <summary>jcc rel32; answers the position of its rel32.</summary>
    public int Jcc(int condition)
    {
        WriteByte(0x0F);
        WriteByte((byte)(0x80 | condition));
        Dword(0);
        return Position - 4;
    }

    /// <summary>jmp rel32; answers the position of its rel32.</summary>
    public int JmpNear()
    {
        WriteByte(0xE9);
        Dword(0);
        return Position - 4;
    }

    /// <summary>jmp qword [index*8 + absolute].</summary>
    public void JmpTable(int index, long absolute) => OpMemory(0xFF, 4, HostReg.None, index, 3, checked((int)absolute), wide: false);

    /// <summary>jmp qword [absolute].</summary>
    public void JmpAbsolute(long absolute) => OpMemory(0xFF, 4, HostReg.None, HostReg.None, 0, checked((int)absolute), wide: false);
}
