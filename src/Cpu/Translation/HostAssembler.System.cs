namespace FtAkka.Cpu.Translation;

/// <content>Shapes for system instructions: engine state at absolute addresses below 2 GiB, and the host's flags.</content>
internal sealed partial class HostAssembler
{
    /// <summary>movzx dst32, byte [absolute].</summary>
    public void LoadAbsoluteByte(int dst, long absolute) => LoadAbsoluteZeroExtended(0xB6, dst, absolute);

    /// <summary>movzx dst32, word [absolute].</summary>
    public void LoadAbsoluteWord(int dst, long absolute) => LoadAbsoluteZeroExtended(0xB7, dst, absolute);

    private void LoadAbsoluteZeroExtended(byte opcode, int dst, long absolute)
    {
        WriteByte((byte)(0x40 | RexBits(false, dst, HostReg.None, HostReg.None)));
        WriteByte(0x0F);
        WriteByte(opcode);
        ModRmMemory(dst, HostReg.None, HostReg.None, 0, checked((int)absolute));
    }

    /// <summary>mov qword [absolute], src.</summary>
    public void StoreAbsolute(long absolute, int src) =>
        OpMemory(0x89, src, HostReg.None, HostReg.None, 0, checked((int)absolute), wide: true);

    /// <summary>mov qword or dword [absolute], imm32 (sign-extended).</summary>
    public void StoreAbsoluteImmediate(long absolute, int immediate, bool wide)
    {
        OpMemory(0xC7, 0, HostReg.None, HostReg.None, 0, checked((int)absolute), wide);
        Dword(immediate);
    }

    /// <summary>rorx dst, src, count (64-bit).</summary>
    public void Rorx(int dst, int src, int count)
    {
        WriteByte(0xC4);
        WriteByte((byte)(((dst >> 3) != 0 ? 0 : 0x80) | 0x40 | ((src >> 3) != 0 ? 0 : 0x20) | 3));
        WriteByte(0xFB);
        WriteByte(0xF0);
        WriteByte((byte)(0xC0 | ((dst & 7) << 3) | (src & 7)));
        WriteByte((byte)count);
    }

    /// <summary>Copies the host's RFLAGS to a register, over the few bytes below RSP that nobody owns.</summary>
    public void MovFromFlags(int dst)
    {
        WriteByte(0x9C); // pushfq
        if (dst >= 8)
        {
            WriteByte(0x41);
        }
        WriteByte((byte)(0x58 | (dst & 7)));
    }

    /// <summary>Loads the host's RFLAGS from a register, which holds nothing but CF PF AF ZF SF OF DF, IF and bit 1.</summary>
    public void MovToFlags(int src)
    {
        if (src >= 8)
        {
            WriteByte(0x41);
        }
        WriteByte((byte)(0x50 | (src & 7)));
        WriteByte(0x9D); // popfq
    }

    /// <summary>and dst32, imm32. Changes flags.</summary>
    public void AndClobberingFlags(int dst, int immediate) => OpImmediate(4, dst, immediate);

    /// <summary>or dst32, imm32. Changes flags.</summary>
    public void OrClobberingFlags(int dst, int immediate) => OpImmediate(1, dst, immediate);

    /// <summary>and dst, src (64-bit). Changes flags.</summary>
    public void AndClobberingFlags64(int dst, int src) => OpRegReg(0x23, dst, src, wide: true);

    /// <summary>xor dst, src (64-bit). Changes flags.</summary>
    public void XorClobberingFlags64(int dst, int src) => OpRegReg(0x33, dst, src, wide: true);

    /// <summary>add dst32, src32. Changes flags.</summary>
    public void AddClobberingFlags32(int dst, int src) => OpRegReg(0x03, dst, src, wide: false);

    /// <summary>sub dst32, src32. Changes flags.</summary>
    public void SubClobberingFlags32(int dst, int src) => OpRegReg(0x2B, dst, src, wide: false);

    /// <summary>lahf: SF, ZF, AF, PF and CF to AH.</summary>
    public void LoadAhFromFlags() => WriteByte(0x9F);

    /// <summary>sahf: SF, ZF, AF, PF and CF from AH.</summary>
    public void StoreAhToFlags() => WriteByte(0x9E);

    /// <summary>seto al.</summary>
    public void SetAlIfOverflow()
    {
        WriteByte(0x0F);
        WriteByte(0x90);
        WriteByte(0xC0);
    }

    /// <summary>and ah, imm8. Changes flags.</summary>
    public void AndAhClobberingFlags(byte mask)
    {
        WriteByte(0x80);
        WriteByte(0xE4);
        WriteByte(mask);
    }

    /// <summary>add al, imm8. Changes flags.</summary>
    public void AddAlClobberingFlags(byte value)
    {
        WriteByte(0x04);
        WriteByte(value);
    }

    /// <summary>movd dst32, mm0: enters MMX state, as every MMX instruction does.</summary>
    public void MovFromMm0(int dst)
    {
        WriteByte(0x0F);
        WriteByte(0x7E);
        WriteByte((byte)(0xC0 | dst));
    }

    /// <summary>rcr dst32, 1. Changes CF and OF.</summary>
    public void RotateThroughCarryRight32(int dst) => OpRegReg(0xD1, 3, dst, wide: false);

    private void OpImmediate(int operation, int dst, int immediate)
    {
        if (dst >= 8)
        {
            WriteByte(0x41);
        }
        WriteByte(0x81);
        WriteByte((byte)(0xC0 | (operation << 3) | (dst & 7)));
        Dword(immediate);
    }

    /// <summary>rep movs or rep stos of elements of 1, 2, 4 or 8 bytes.</summary>
    public void RepString(bool move, int size)
    {
        if (size == 2)
        {
            WriteByte(0x66);
        }
        WriteByte(0xF3);
        if (size == 8)
        {
            WriteByte(0x48);
        }
        WriteByte((byte)((move ? 0xA4 : 0xAA) | (size == 1 ? 0 : 1)));
    }
}
