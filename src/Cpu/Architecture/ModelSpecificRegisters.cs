using System.Globalization;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// MSRs of the CPU itself (Intel SDM vol. 4, table 2-2); the rest is asked of the platform. False means #GP(0). Unknown ones are reported
/// to <see cref="CpuContext.Trace"/>.
/// </summary>
internal static unsafe class ModelSpecificRegisters
{
    public const uint TimeStampCounter = 0x10, PlatformId = 0x17, FeatureControl = 0x3A, TscAdjust = 0x3B, SpeculationControl = 0x48, PredictionCommand = 0x49,
        BiosSignature = 0x8B, PlatformInfo = 0xCE, ArchCapabilities = 0x10A, SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176,
        MiscEnable = 0x1A0, PageAttributeTable = 0x277, ExtendedFeatureEnable = 0xC0000080, SyscallTarget = 0xC0000081, LongSyscallTarget = 0xC0000082,
        CompatSyscallTarget = 0xC0000083, SyscallFlagMask = 0xC0000084, FsBase = 0xC0000100, GsBase = 0xC0000101, KernelGsBase = 0xC0000102, TscAux = 0xC0000103;

    /// <summary>Power-on value of IA32_MISC_ENABLE: fast strings on, no branch trace and no precise event store.</summary>
    public const ulong MiscEnableReset = 0x1801;

    /// <summary>Power-on value of IA32_PAT (SDM vol. 3A, 11.12.4).</summary>
    public const ulong PatReset = 0x0007040600070406;

    /// <summary>
    /// RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
    /// True of this CPU: no guest-visible clock runs during an instruction, so no speculation can be observed from inside.
    /// </summary>
    private const ulong ArchCapabilitiesValue = 1ul << 0 | 1ul << 1 | 1ul << 3 | 1ul << 4 | 1ul << 5 | 1ul << 6 | 1ul << 8 | 1ul << 13 | 1ul << 14
        | 1ul << 15 | 1ul << 20 | 1ul << 24 | 1ul << 26 | 1ul << 27 | 1ul << 62;

    private const ulong MicrocodeRevision = 1;
    private const ulong SpeculationControlDefined = 3;

    public static bool TryRead(CpuContext c, uint msr, out ulong value)
    {
        CpuState* s = c.State;
        switch (msr)
        {
            case TimeStampCounter: value = c.Bus.ReadTimestampCounter() + s->TscAdjust; return true;
            case PlatformId: value = 0; return true;
            case FeatureControl: value = 1; return true; // locked, no VMX
            case TscAdjust: value = s->TscAdjust; return true;
            case SpeculationControl: value = s->SpecCtrl; return true;
            case BiosSignature: value = MicrocodeRevision << 32; return true;
            case PlatformInfo: value = 0; return true;
            case ArchCapabilities: value = ArchCapabilitiesValue; return true;
            case SysenterCs: value = s->SysenterCs; return true;
            case SysenterEsp: value = s->SysenterEsp; return true;
            case SysenterEip: value = s->SysenterEip; return true;
            case MiscEnable: value = s->MiscEnable; return true;
            case PageAttributeTable: value = s->Pat; return true;
            case ExtendedFeatureEnable: value = s->Efer; return true;
            case SyscallTarget: value = s->Star; return true;
            case LongSyscallTarget: value = s->Lstar; return true;
            case CompatSyscallTarget: value = s->Cstar; return true;
            case SyscallFlagMask: value = s->Fmask; return true;
            case FsBase: value = s->Fs.Base; return true;
            case GsBase: value = s->Gs.Base; return true;
            case KernelGsBase: value = s->KernelGsBase; return true;
            case TscAux: value = s->TscAux; return true;
            default:
                if (c.Bus.TryReadMsr(msr, out value))
                    return true;
                c.Trace?.Invoke(string.Create(CultureInfo.InvariantCulture, $"RDMSR of unknown MSR {msr:X8}h at {s->Rip:X16}h"));
                return false;
        }
    }

    public static bool TryWrite(CpuContext c, uint msr, ulong value)
    {
        CpuState* s = c.State;
        switch (msr)
        {
            case TimeStampCounter: s->TscAdjust = value - c.Bus.ReadTimestampCounter(); return true;
            case TscAdjust: s->TscAdjust = value; return true;
            case SpeculationControl: return TryStore(ref s->SpecCtrl, value, (value & ~SpeculationControlDefined) == 0);
            case PredictionCommand: return value <= 1; // IBPB: there is no prediction state
            case BiosSignature: return true; // software writes 0 before it asks for the revision
            case SysenterCs: s->SysenterCs = (uint)value; return true;
            case SysenterEsp: return TryStore(ref s->SysenterEsp, value, GuestAccess.IsCanonical(value));
            case SysenterEip: return TryStore(ref s->SysenterEip, value, GuestAccess.IsCanonical(value));
            case MiscEnable: return TryStore(ref s->MiscEnable, value, ((value ^ s->MiscEnable) & ~1ul) == 0);
            case PageAttributeTable: return TryStore(ref s->Pat, value, IsPat(value));
            case ExtendedFeatureEnable: return TryWriteEfer(c, value);
            case SyscallTarget: s->Star = value; return true;
            case LongSyscallTarget: return TryStore(ref s->Lstar, value, GuestAccess.IsCanonical(value));
            case CompatSyscallTarget: return TryStore(ref s->Cstar, value, GuestAccess.IsCanonical(value));
            case SyscallFlagMask: return TryStore(ref s->Fmask, value, value >> 32 == 0);
            case FsBase: return TryStore(ref s->Fs.Base, value, GuestAccess.IsCanonical(value));
            case GsBase: return TryStore(ref s->Gs.Base, value, GuestAccess.IsCanonical(value));
            case KernelGsBase: return TryStore(ref s->KernelGsBase, value, GuestAccess.IsCanonical(value));
            case TscAux: return TryStore(ref s->TscAux, value, value >> 32 == 0);
            case PlatformId or FeatureControl or PlatformInfo or ArchCapabilities: return false; // read-only or locked
            default:
                if (c.Bus.TryWriteMsr(msr, value))
                    return true;
                c.Trace?.Invoke(string.Create(CultureInfo.InvariantCulture, $"WRMSR of unknown MSR {msr:X8}h, value {value:X16}h at {s->Rip:X16}h"));
                return false;
        }
    }

    private static bool TryStore(ref ulong register, ulong value, bool valid)
    {
        if (valid)
            register = value;
        return valid;
    }

    /// <summary>LMA is read-only; LME cannot change while paging is on, and paging always is.</summary>
    private static bool TryWriteEfer(CpuContext c, ulong value)
    {
        CpuState* s = c.State;
        if ((value & ~Efer.Defined) != 0 || ((value ^ s->Efer) & Efer.LongModeEnable) != 0)
            return false;
        s->Efer = (value & ~Efer.LongModeActive) | (s->Efer & Efer.LongModeActive);
        c.Mmu.ControlRegistersChanged();
        return true;
    }

    /// <summary>Every byte is a memory type: UC, WC, WT, WP, WB or UC-.</summary>
    private static bool IsPat(ulong value)
    {
        for (int i = 0; i < 64; i += 8)
        {
            if ((byte)(value >> i) is not (0 or 1 or 4 or 5 or 6 or 7))
                return false;
        }
        return true;
    }
}
