namespace FtAkka.Machine.Interrupts;

public sealed partial class LocalApic
{
    private const int LvtEntryCount = 6;
    private const uint LvtMasked = 1 << 16;
    private const uint SpuriousSoftwareEnable = 1 << 8;

    /// <summary>Integrated APIC, 6 LVT entries, no EOI-broadcast suppression (Intel SDM vol. 3A, 11.4.8).</summary>
    private const uint VersionValue = 0x14 | (LvtEntryCount - 1) << 16;

    /// <summary>LVT entries in register order, from 320H on.</summary>
    private enum LvtEntry { Timer, Thermal, PerformanceCounter, Lint0, Lint1, Error }

    /// <summary>Writable bits of the LVT entries (Intel SDM vol. 3A, figure 11-8).</summary>
    private static readonly uint[] lvtWritable =
        [0x0007_00FF, 0x0001_07FF, 0x0001_07FF, 0x0001_A7FF, 0x0001_A7FF, 0x0001_00FF];

    /// <summary>IA32_APIC_BASE (Intel SDM vol. 3A, figure 11-5 and 11.12.1).</summary>
    private static class ApicBaseBits
    {
        public const ulong BootstrapProcessor = 1 << 8;
        public const ulong X2Apic = 1 << 10;
        public const ulong Enabled = 1 << 11;
    }

    /// <summary>ESR (Intel SDM vol. 3A, figure 11-9).</summary>
    private static class ErrorBits
    {
        public const uint SendIllegalVector = 1 << 5;
        public const uint ReceiveIllegalVector = 1 << 6;
        public const uint IllegalRegister = 1 << 7;
    }

    /// <summary>Register numbers: MMIO offset / 16, and MSR - 800H (Intel SDM vol. 3A, tables 11-1 and 11-6).</summary>
    private static class Register
    {
        public const int Id = 0x02, Version = 0x03, TaskPriority = 0x08, ArbitrationPriority = 0x09, ProcessorPriority = 0x0A,
            EndOfInterrupt = 0x0B, RemoteRead = 0x0C, LogicalDestination = 0x0D, DestinationFormat = 0x0E, SpuriousVector = 0x0F,
            InService = 0x10, TriggerMode = 0x18, Requested = 0x20, ErrorStatus = 0x28, InterruptCommandLow = 0x30,
            InterruptCommandHigh = 0x31, LvtTimer = 0x32, LvtError = 0x37, InitialCount = 0x38, CurrentCount = 0x39,
            DivideConfiguration = 0x3E, SelfIpi = 0x3F;
    }
}
