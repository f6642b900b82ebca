namespace FtAkka.Machine.Interrupts;

/// <summary>MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC registers (Intel SDM vol. 3A, 11.12).</summary>
public sealed partial class LocalApic
{
    /// <summary>IA32_APIC_BASE.</summary>
    public const uint ApicBaseMsr = 0x1B;

    /// <summary>IA32_TSC_DEADLINE.</summary>
    public const uint TscDeadlineMsr = 0x6E0;

    private const uint X2ApicFirstMsr = 0x800;
    private const uint X2ApicLastMsr = 0x8FF;

    private bool IsX2Apic => (apicBase & ApicBaseBits.X2Apic) != 0;

    /// <summary>RDMSR. False: not an MSR of this APIC in its present mode, the guest gets #GP(0).</summary>
    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        switch (msr)
        {
            case ApicBaseMsr:
                value = apicBase;
                return true;
            case TscDeadlineMsr:
                value = timer.DeadlineTsc;
                return true;
            case >= X2ApicFirstMsr and <= X2ApicLastMsr when IsX2Apic:
                return TryReadX2Apic((int)(msr - X2ApicFirstMsr), out value);
            default:
                return false;
        }
    }

    /// <summary>WRMSR. False: not an MSR of this APIC in its present mode, or a reserved bit is set: the guest gets #GP(0).</summary>
    public bool TryWriteMsr(uint msr, ulong value)
    {
        switch (msr)
        {
            case ApicBaseMsr:
                return TryWriteApicBase(value);
            case TscDeadlineMsr:
                timer.SetDeadline(value);
                TimerChanged?.Invoke();
                return true;
            case >= X2ApicFirstMsr and <= X2ApicLastMsr when IsX2Apic:
                return TryWriteX2Apic((int)(msr - X2ApicFirstMsr), value);
            default:
                return false;
        }
    }

    private bool TryWriteApicBase(ulong value)
    {
        var writable = ((1UL << options.PhysicalAddressBits) - 1) & ~0xFFFUL
            | ApicBaseBits.Enabled | ApicBaseBits.BootstrapProcessor
            | (options.X2ApicSupported ? ApicBaseBits.X2Apic : 0);
        if ((value & ~writable) != 0)
            return false;
        const ulong modeBits = ApicBaseBits.Enabled | ApicBaseBits.X2Apic;
        var (from, to) = (apicBase & modeBits, value & modeBits);
        // Legal transitions: Intel SDM vol. 3A, 11.12.5 and figure 11-27.
        var legal = to switch
        {
            ApicBaseBits.X2Apic => false,
            modeBits => from != 0,
            ApicBaseBits.Enabled => from != modeBits,
            _ => true,
        };
        if (!legal)
            return false;
        apicBase = value & ~ApicBaseBits.BootstrapProcessor | apicBase & ApicBaseBits.BootstrapProcessor;
        if (to == 0 && from != 0)
        {
            Reset();
            TimerChanged?.Invoke();
        }
        return true;
    }

    private bool TryReadX2Apic(int register, out ulong value)
    {
        value = 0;
        switch (register)
        {
            case Register.Id:
                value = options.ApicId;
                return true;
            case Register.LogicalDestination:
                value = X2ApicLogicalId;
                return true;
            case Register.InterruptCommandLow:
                value = (ulong)interruptCommandHigh << 32 | interruptCommandLow;
                return true;
            default:
                var found = TryReadShared(register, out var shared);
                value = shared;
                return found;
        }
    }

    private bool TryWriteX2Apic(int register, ulong value)
    {
        if ((value & ~X2ApicWritable(register)) != 0)
            return false;
        switch (register)
        {
            case Register.EndOfInterrupt:
                EndOfInterrupt();
                return true;
            case Register.InterruptCommandLow:
                interruptCommandHigh = (uint)(value >> 32);
                interruptCommandLow = (uint)value & InterruptCommandWritable;
                SendInterprocessorInterrupt(interruptCommandHigh);
                return true;
            case Register.SelfIpi:
                SendSelf(DeliveryMode.Fixed, (byte)value);
                return true;
            default:
                return TryWriteShared(register, (uint)value);
        }
    }

    /// <summary>Bits a WRMSR may set; anything else, and any write to a read-only register, is #GP (Intel SDM vol. 3A, 11.12.1.3). EOI and ESR take only 0.</summary>
    private static ulong X2ApicWritable(int register) => register switch
    {
        Register.TaskPriority or Register.SelfIpi => 0xFF,
        Register.SpuriousVector => 0x3FF,
        Register.InterruptCommandLow => 0xFFFF_FFFF_0000_0000 | InterruptCommandWritable,
        >= Register.LvtTimer and <= Register.LvtError => lvtWritable[register - Register.LvtTimer],
        Register.InitialCount => 0xFFFF_FFFF,
        Register.DivideConfiguration => 0xB,
        _ => 0,
    };
}
