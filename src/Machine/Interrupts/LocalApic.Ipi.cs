namespace FtAkka.Machine.Interrupts;

/// <summary>Interprocessor interrupts, which can only reach this CPU itself, and destination matching (Intel SDM vol. 3A, 11.6).</summary>
public sealed partial class LocalApic
{
    /// <summary>ICR bits the guest can write; delivery status (bit 12) always reads idle.</summary>
    private const uint InterruptCommandWritable = 0x000C_CFFF;

    /// <summary>LDR in x2APIC mode, fixed by the APIC ID (Intel SDM vol. 3A, 11.12.10.2).</summary>
    private uint X2ApicLogicalId => options.ApicId >> 4 << 16 | 1u << (int)(options.ApicId & 0xF);

    private void SendInterprocessorInterrupt(uint destination)
    {
        var logical = (interruptCommandLow & 1 << 11) != 0;
        var reachesSelf = (interruptCommandLow >> 18 & 3) switch
        {
            0 => IsX2Apic ? MatchesX2Apic(destination, logical) : MatchesXApic((byte)destination, logical),
            1 or 2 => true,
            _ => false,
        };
        if (reachesSelf)
            SendSelf((DeliveryMode)(interruptCommandLow >> 8 & 7), (byte)interruptCommandLow);
    }

    private void SendSelf(DeliveryMode mode, byte vector)
    {
        switch (mode)
        {
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority when vector < 16:
                ReportError(ErrorBits.SendIllegalVector);
                break;
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority:
                RequestFixed(vector, levelTriggered: false);
                break;
            case DeliveryMode.Nmi:
                nmiPending = true;
                break;
            default:
                // INIT, start-up and SMI have no effect on the only CPU.
                break;
        }
    }

    /// <summary>The IOAPIC has 8 destination bits in either mode; its physical broadcast is FFH.</summary>
    private bool MatchesIoApicDestination(byte destination, bool logical) => !IsX2Apic
        ? MatchesXApic(destination, logical)
        : !logical && destination == 0xFF || MatchesX2Apic(destination, logical);

    private bool MatchesXApic(byte destination, bool logical)
    {
        if (!logical)
            return destination == 0xFF || destination == id >> 24;
        var own = (byte)(logicalDestination >> 24);
        if (destinationFormat >> 28 == 0xF)
            return (destination & own) != 0;
        // Cluster model: Intel SDM vol. 3A, 11.6.2.2.
        var sameCluster = destination >> 4 == 0xF || destination >> 4 == own >> 4;
        return destinationFormat >> 28 == 0 && sameCluster && (destination & own & 0xF) != 0;
    }

    private bool MatchesX2Apic(uint destination, bool logical)
    {
        if (destination == uint.MaxValue)
            return true;
        return logical
            ? destination >> 16 == X2ApicLogicalId >> 16 && (destination & X2ApicLogicalId & 0xFFFF) != 0
            : destination == options.ApicId;
    }
}
