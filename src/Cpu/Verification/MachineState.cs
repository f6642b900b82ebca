using System.Buffers.Binary;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// User-visible register state around one instruction, as plain data, so that a native and a translated execution can be compared.
/// Everything an instruction of class Reemit or Emit can read or change, memory excepted.
/// </summary>
internal sealed class MachineState
{
    /// <summary>CF, PF, AF, ZF, SF, DF, OF: the RFLAGS bits that live in host flags while emitted code runs.</summary>
    public const ulong FlagMask = 0xCD5;

    /// <summary>Size of an FXSAVE image (Intel SDM vol. 1, 10.5.1).</summary>
    public const int FxBytes = 512;

    private const int FcwOffset = 0, FswOffset = 2, FtwOffset = 4, MxcsrOffset = 24, StOffset = 32, XmmOffset = 160;

    /// <summary>General registers in encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15.</summary>
    public ulong[] Gpr { get; } = new ulong[16];

    /// <summary>Linear address of the instruction before, of the next one after a run.</summary>
    public ulong Rip { get; set; }

    /// <summary>Flags; only the bits of <see cref="FlagMask"/> count.</summary>
    public ulong Rflags { get; set; }

    /// <summary>Base of FS or GS, whichever the instruction overrides with.</summary>
    public ulong SegmentBase { get; set; }

    /// <summary>x87, MMX, SSE state as FXSAVE64 lays it out; opcode and pointers (bytes 6 to 23) and the bytes from 416 on do not count.</summary>
    public byte[] Fx { get; } = new byte[FxBytes];

    public ushort Fcw { get => Read16(FcwOffset); set => Write16(FcwOffset, value); }

    public ushort Fsw { get => Read16(FswOffset); set => Write16(FswOffset, value); }

    /// <summary>Abridged tag word: bit i set = physical register i holds something.</summary>
    public byte Ftw { get => Fx[FtwOffset]; set => Fx[FtwOffset] = value; }

    public uint Mxcsr
    {
        get => BinaryPrimitives.ReadUInt32LittleEndian(Fx.AsSpan(MxcsrOffset));
        set => BinaryPrimitives.WriteUInt32LittleEndian(Fx.AsSpan(MxcsrOffset), value);
    }

    /// <summary>The ten bytes of ST(i).</summary>
    public Span<byte> St(int i) => Fx.AsSpan(StOffset + (i * 16), 10);

    public Span<byte> Xmm(int i) => Fx.AsSpan(XmmOffset + (i * 16), 16);

    public void CopyFrom(MachineState other)
    {
        other.Gpr.CopyTo(Gpr, 0);
        other.Fx.CopyTo(Fx, 0);
        Rip = other.Rip;
        Rflags = other.Rflags;
        SegmentBase = other.SegmentBase;
    }

    /// <summary>
    /// First difference from <paramref name="actual"/> in words, or null. Flags outside <paramref name="definedFlags"/> are not compared.
    /// </summary>
    public string? DifferenceFrom(MachineState actual, ulong definedFlags)
    {
        for (int i = 0; i < Gpr.Length; i++)
        {
            if (Gpr[i] != actual.Gpr[i]) { return $"gpr {i}: expected {Gpr[i]:x16}, got {actual.Gpr[i]:x16}"; }
        }
        ulong flags = (Rflags ^ actual.Rflags) & FlagMask & definedFlags;
        if (flags != 0) { return $"rflags: expected {Rflags & FlagMask:x3}, got {actual.Rflags & FlagMask:x3}, differ in {flags:x3}"; }
        if (Rip != actual.Rip) { return $"rip: expected {Rip:x}, got {actual.Rip:x}"; }
        if (Fcw != actual.Fcw) { return $"fcw: expected {Fcw:x4}, got {actual.Fcw:x4}"; }
        if (Fsw != actual.Fsw) { return $"fsw: expected {Fsw:x4}, got {actual.Fsw:x4}"; }
        if (Ftw != actual.Ftw) { return $"ftw: expected {Ftw:x2}, got {actual.Ftw:x2}"; }
        if (Mxcsr != actual.Mxcsr) { return $"mxcsr: expected {Mxcsr:x8}, got {actual.Mxcsr:x8}"; }
        for (int i = 0; i < 8; i++)
        {
            if (!St(i).SequenceEqual(actual.St(i))) { return $"st{i}: expected {Convert.ToHexString(St(i))}, got {Convert.ToHexString(actual.St(i))}"; }
        }
        for (int i = 0; i < 16; i++)
        {
            if (!Xmm(i).SequenceEqual(actual.Xmm(i))) { return $"xmm{i}: expected {Convert.ToHexString(Xmm(i))}, got {Convert.ToHexString(actual.Xmm(i))}"; }
        }
        return null;
    }

    private ushort Read16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(Fx.AsSpan(offset));

    private void Write16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Fx.AsSpan(offset), value);
}
