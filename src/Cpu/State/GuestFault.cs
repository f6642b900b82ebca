namespace FtAkka.Cpu.State;

/// <summary>Exception vectors (Intel SDM vol. 3A, table 6-1).</summary>
internal static class Vector
{
    public const byte DivideError = 0, Debug = 1, Nmi = 2, Breakpoint = 3, Overflow = 4, BoundRange = 5, InvalidOpcode = 6,
        DeviceNotAvailable = 7, DoubleFault = 8, InvalidTss = 10, SegmentNotPresent = 11, StackFault = 12,
        GeneralProtection = 13, PageFault = 14, X87Error = 16, AlignmentCheck = 17, MachineCheck = 18, SimdError = 19;
}

/// <summary>A fault an instruction raised: a value, never a .NET exception (they would cost microseconds each).</summary>
internal struct GuestFault
{
    public byte Vector;
    public bool HasErrorCode;
    public uint ErrorCode;
    /// <summary>Faulting linear address, for #PF only.</summary>
    public ulong Cr2;

    public static GuestFault Of(byte vector) => new() { Vector = vector };
    public static GuestFault WithError(byte vector, uint errorCode) => new() { Vector = vector, HasErrorCode = true, ErrorCode = errorCode };
    public static GuestFault Page(ulong address, uint errorCode) =>
        new() { Vector = State.Vector.PageFault, HasErrorCode = true, ErrorCode = errorCode, Cr2 = address };
    public static GuestFault Gp(uint errorCode = 0) => WithError(State.Vector.GeneralProtection, errorCode);
}
