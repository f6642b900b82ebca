using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>What the guest is entered with.</summary>
public readonly record struct LongModeEntry
{
    /// <summary>First instruction.</summary>
    public required ulong Rip { get; init; }
    /// <summary>RSI: physical address of the boot parameters (zero page).</summary>
    public ulong Rsi { get; init; }
    public ulong Rsp { get; init; }
    /// <summary>Page tables made by the caller; they map at least the kernel, the boot parameters and the GDT one to one.</summary>
    public required ulong Cr3 { get; init; }
    /// <summary>A GDT made by the caller, with flat 64-bit code at <see cref="CpuReset.CodeSelector"/> and flat data at <see cref="CpuReset.DataSelector"/>.</summary>
    public required ulong GdtBase { get; init; }
    public required ushort GdtLimit { get; init; }
}

/// <summary>State of the CPU at power-on.</summary>
internal static unsafe class CpuReset
{
    /// <summary>__BOOT_CS of the Linux boot protocol.</summary>
    public const ushort CodeSelector = 0x10;
    /// <summary>__BOOT_DS of the Linux boot protocol.</summary>
    public const ushort DataSelector = 0x18;

    /// <summary>
    /// Puts the CPU where the 64-bit Linux boot protocol wants it: long mode, paging on, interrupts off, flat segments (Documentation/arch/x86/boot.rst, "64-bit boot
    /// protocol"). Everything else has its power-on value (Intel SDM vol. 3A, table 9-1); icount goes on.
    /// </summary>
    public static void ForLongMode(CpuState* state, in LongModeEntry entry)
    {
        ulong icount = state->Icount;
        *state = default;
        state->Icount = icount;
        state->Rip = entry.Rip;
        state->Gpr[4] = entry.Rsp;
        state->Gpr[6] = entry.Rsi;
        state->Rflags = Rflags.Fixed1;
        state->Cs = Segmentation.FlatCode64(CodeSelector, 0);
        SegmentRegister data = Segmentation.FlatData(DataSelector, 0);
        state->Ds = state->Es = state->Fs = state->Gs = state->Ss = data;
        state->Tr = new SegmentRegister { Limit = 0xFFFF, Attributes = 0x8B };
        state->Ldtr = new SegmentRegister { Limit = 0xFFFF, Attributes = 0x82 };
        state->GdtrBase = entry.GdtBase;
        state->GdtrLimit = entry.GdtLimit;
        state->Cr0 = Cr0.Paging | Cr0.ProtectionEnable | Cr0.WriteProtect | Cr0.NumericError | Cr0.ExtensionType;
        state->Cr3 = entry.Cr3;
        state->Cr4 = Cr4.PhysicalAddressExtension;
        state->Efer = Efer.LongModeEnable | Efer.LongModeActive;
        state->Dr6 = DebugTraps.Dr6Reset;
        state->Dr7 = DebugTraps.Dr7Reset;
        state->Pat = ModelSpecificRegisters.PatReset;
        state->MiscEnable = ModelSpecificRegisters.MiscEnableReset;
        state->Xcr0 = 1;
        state->Mxcsr = 0x1F80;
        X87.Initialize(state);
    }
}
