namespace FtAkka.Cpu.Architecture;

/// <summary>RFLAGS bits (Intel SDM vol. 1, 3.4.3).</summary>
internal static class Rflags
{
    public const ulong Carry = 1 << 0, Fixed1 = 1 << 1, Parity = 1 << 2, Adjust = 1 << 4, Zero = 1 << 6, Sign = 1 << 7, Trap = 1 << 8,
        InterruptEnable = 1 << 9, Direction = 1 << 10, Overflow = 1 << 11, Iopl = 3 << 12, NestedTask = 1 << 14, Resume = 1 << 16,
        Virtual8086 = 1 << 17, AlignmentCheck = 1 << 18, VirtualInterrupt = 1 << 19, VirtualInterruptPending = 1 << 20, Id = 1 << 21;

    /// <summary>The arithmetic flags.</summary>
    public const ulong Arithmetic = Carry | Parity | Adjust | Zero | Sign | Overflow;

    /// <summary>Bits that are not reserved (VM, VIF and VIP included).</summary>
    public const ulong Defined = 0x3F7FD7;

    /// <summary>I/O privilege level, 0 to 3.</summary>
    public static uint IoPrivilege(ulong rflags) => (uint)(rflags >> 12) & 3;
}

/// <summary>CR0 bits (Intel SDM vol. 3A, 2.5).</summary>
internal static class Cr0
{
    public const ulong ProtectionEnable = 1 << 0, MonitorCoprocessor = 1 << 1, Emulation = 1 << 2, TaskSwitched = 1 << 3, ExtensionType = 1 << 4,
        NumericError = 1 << 5, WriteProtect = 1 << 16, AlignmentMask = 1 << 18, NotWriteThrough = 1 << 29, CacheDisable = 1 << 30, Paging = 1u << 31;

    /// <summary>Bits software can set; the reserved ones of the low half read as zero.</summary>
    public const ulong Defined = ProtectionEnable | MonitorCoprocessor | Emulation | TaskSwitched | ExtensionType | NumericError | WriteProtect
        | AlignmentMask | NotWriteThrough | CacheDisable | Paging;
}

/// <summary>CR4 bits (Intel SDM vol. 3A, 2.5) the model has; all others are reserved in it.</summary>
internal static class Cr4
{
    public const ulong TimeStampDisable = 1 << 2, DebuggingExtensions = 1 << 3, PageSizeExtensions = 1 << 4, PhysicalAddressExtension = 1 << 5,
        PageGlobalEnable = 1 << 7, PerformanceCounterEnable = 1 << 8, OsFxsr = 1 << 9, OsXmmExceptions = 1 << 10, FsGsBase = 1 << 16, Smep = 1 << 20;

    /// <summary>Bits a MOV to CR4 may set; any other raises #GP(0).</summary>
    public const ulong Defined = TimeStampDisable | DebuggingExtensions | PageSizeExtensions | PhysicalAddressExtension | PageGlobalEnable
        | PerformanceCounterEnable | OsFxsr | OsXmmExceptions | FsGsBase | Smep;
}

/// <summary>IA32_EFER bits (Intel SDM vol. 3A, 2.2.1).</summary>
internal static class Efer
{
    public const ulong SyscallEnable = 1 << 0, LongModeEnable = 1 << 8, LongModeActive = 1 << 10, NoExecuteEnable = 1 << 11;
    public const ulong Defined = SyscallEnable | LongModeEnable | LongModeActive | NoExecuteEnable;
}

/// <summary>Values of <see cref="State.CpuState.InterruptShadow"/>. Any non-zero value holds external interrupts for one instruction.</summary>
internal static class Shadow
{
    /// <summary>After STI: external interrupts are held.</summary>
    public const byte Sti = 1;
    /// <summary>After MOV SS: external interrupts and debug traps are held.</summary>
    public const byte MovSs = 2;
}
