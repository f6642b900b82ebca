using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// The guest's x87 and MMX state on top of the FXSAVE image the host runs with (Intel SDM vol. 1, chapters 8 and 9). In the image all exceptions are
/// masked and ES and B are clear; the guest's masks are in <see cref="CpuState.FcwGuest"/> and its ES and B follow from them.
/// Last instruction and data pointers and opcode (FIP, FDP, FOP) always read as zero: the host's would be host addresses.
/// </summary>
internal static unsafe class X87
{
    private const int ControlWord = 0, StatusWord = 2, TagByte = 4, Registers = 32, SlotBytes = 16;
    private const ushort ExceptionMasks = 0x3F, SummaryAndBusy = 0x8080;

    /// <summary>Bytes of one register.</summary>
    public const int RegisterBytes = 10;

    public static ushort HostStatus(CpuState* s) => *(ushort*)(s->Fx + StatusWord);

    /// <summary>FSW as the guest sees it: ES and B when an unmasked exception is pending.</summary>
    public static ushort GuestStatus(CpuState* s)
    {
        int status = HostStatus(s) & ~SummaryAndBusy;
        return (ushort)(IsPending(s) ? status | SummaryAndBusy : status);
    }

    /// <summary>An unmasked exception waits for the next waiting instruction.</summary>
    public static bool IsPending(CpuState* s) => (HostStatus(s) & ~s->FcwGuest & ExceptionMasks) != 0;

    /// <summary>Loads FCW; reserved bits take their fixed values.</summary>
    public static void SetControl(CpuState* s, ushort value)
    {
        s->FcwGuest = (ushort)((value & 0x1F3F) | 0x40);
        *(ushort*)(s->Fx + ControlWord) = (ushort)(s->FcwGuest | ExceptionMasks);
    }

    /// <summary>Loads FSW without moving registers: for loads that replace the registers as well.</summary>
    public static void SetStatus(CpuState* s, ushort value) => *(ushort*)(s->Fx + StatusWord) = (ushort)(value & ~SummaryAndBusy);

    /// <summary>Loads FSW and keeps the physical registers where they are: the image holds them in stack order, so a new TOP turns it.</summary>
    public static void SetStatusKeepingRegisters(CpuState* s, ushort value)
    {
        int turn = (Top(value) - Top(HostStatus(s))) & 7;
        if (turn != 0)
        {
            Span<byte> all = new(s->Fx + Registers, 8 * SlotBytes);
            Span<byte> old = stackalloc byte[8 * SlotBytes];
            all.CopyTo(old);
            for (int slot = 0; slot < 8; slot++)
                old.Slice(((slot + turn) & 7) * SlotBytes, SlotBytes).CopyTo(all[(slot * SlotBytes)..]);
        }
        SetStatus(s, value);
    }

    public static int Top(ushort status) => status >> 11 & 7;

    /// <summary>Abridged tags: bit set = register in use, by physical register number.</summary>
    public static ref byte Tags(CpuState* s) => ref s->Fx[TagByte];

    /// <summary>ST(<paramref name="index"/>), <see cref="RegisterBytes"/> bytes.</summary>
    public static byte* Register(CpuState* s, int index) => s->Fx + Registers + (index * SlotBytes);

    /// <summary>MM0 to MM7 are the physical registers.</summary>
    public static byte* MmxRegister(CpuState* s, int index) => Register(s, (index - Top(HostStatus(s))) & 7);

    /// <summary>What every MMX instruction but EMMS does: TOP = 0, all registers in use.</summary>
    public static void BecomeMmx(CpuState* s)
    {
        SetStatusKeepingRegisters(s, (ushort)(HostStatus(s) & ~0x3800));
        Tags(s) = 0xFF;
    }

    /// <summary>FNINIT.</summary>
    public static void Initialize(CpuState* s)
    {
        SetControl(s, 0x37F);
        SetStatusKeepingRegisters(s, 0);
        Tags(s) = 0;
    }

    /// <summary>Full tag word from the abridged one and the register contents (SDM vol. 1, 8.1.7).</summary>
    public static ushort FullTags(CpuState* s)
    {
        int top = Top(HostStatus(s));
        int tags = 0;
        for (int physical = 0; physical < 8; physical++)
        {
            int tag = (Tags(s) >> physical & 1) == 0 ? 3 : Classify(Register(s, (physical - top) & 7));
            tags |= tag << (physical * 2);
        }
        return (ushort)tags;
    }

    /// <summary>Abridged tags of a full tag word.</summary>
    public static byte Abridge(ushort fullTags)
    {
        int tags = 0;
        for (int physical = 0; physical < 8; physical++)
        {
            if ((fullTags >> (physical * 2) & 3) != 3)
                tags |= 1 << physical;
        }
        return (byte)tags;
    }

    /// <summary>0 valid, 1 zero, 2 special (NaN, infinity, denormal, unnormal).</summary>
    private static int Classify(byte* register)
    {
        ulong significand = *(ulong*)register;
        int exponent = *(ushort*)(register + 8) & 0x7FFF;
        if (exponent == 0)
            return significand == 0 ? 1 : 2;
        return exponent == 0x7FFF || significand >> 63 == 0 ? 2 : 0;
    }

    /// <summary>#NM for x87 instructions, and #MF for a waiting one with an exception pending.</summary>
    public static bool TryEnter(CpuContext c, bool waiting)
    {
        CpuState* s = c.State;
        if ((s->Cr0 & (Cr0.Emulation | Cr0.TaskSwitched)) != 0)
            return Refuse(c, Vector.DeviceNotAvailable);
        return !waiting || !IsPending(s) || Refuse(c, Vector.X87Error);
    }

    /// <summary>Availability of SSE: CR0.EM or no CR4.OSFXSR #UD, CR0.TS #NM.</summary>
    public static bool TryEnterSse(CpuContext c)
    {
        CpuState* s = c.State;
        if ((s->Cr0 & Cr0.Emulation) != 0 || (s->Cr4 & Cr4.OsFxsr) == 0)
            return Refuse(c, Vector.InvalidOpcode);
        return (s->Cr0 & Cr0.TaskSwitched) == 0 || Refuse(c, Vector.DeviceNotAvailable);
    }

    /// <summary>Availability of MMX: CR0.EM #UD, CR0.TS #NM, pending x87 exception #MF.</summary>
    public static bool TryEnterMmx(CpuContext c)
    {
        CpuState* s = c.State;
        if ((s->Cr0 & Cr0.Emulation) != 0)
            return Refuse(c, Vector.InvalidOpcode);
        if ((s->Cr0 & Cr0.TaskSwitched) != 0)
            return Refuse(c, Vector.DeviceNotAvailable);
        return !IsPending(s) || Refuse(c, Vector.X87Error);
    }

    private static bool Refuse(CpuContext c, byte vector)
    {
        c.Raise(GuestFault.Of(vector));
        return false;
    }
}
