using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Interrupts;

/// <summary>
/// The local APIC of the one CPU (Intel SDM vol. 3A, chapter 11): xAPIC registers by MMIO, x2APIC registers by MSR, priorities,
/// IPIs to itself and the timer. The owner reads <see cref="InterruptPending"/> and <see cref="TakeNmi"/> after each call that may have changed them.
/// </summary>
/// <remarks>
/// Deviations: no SMI, INIT or start-up delivery (one CPU, no SMM); the processor priority's low nibble is the task priority's when classes are
/// equal; the APIC page moved on top of RAM does not hide the RAM.
/// </remarks>
public sealed partial class LocalApic : ISnapshotable
{
    private readonly LocalApicOptions options;
    private readonly Func<ulong> readTsc;
    private readonly ApicTimer timer;
    private readonly VectorSet inService = new();
    private readonly VectorSet triggerMode = new();
    private readonly VectorSet requested = new();
    private readonly uint[] lvt = new uint[LvtEntryCount];

    private ulong apicBase;
    private uint id;
    private uint taskPriority;
    private uint logicalDestination;
    private uint destinationFormat;
    private uint spuriousVector;
    private uint errorsPending;
    private uint errorsShown;
    private uint interruptCommandLow;
    private uint interruptCommandHigh;
    private bool nmiPending;

    /// <param name="options">What differs between machines.</param>
    /// <param name="readTsc">The guest's TSC (without IA32_TSC_ADJUST) at the present icount.</param>
    public LocalApic(LocalApicOptions options, Func<ulong> readTsc)
    {
        ArgumentOutOfRangeException.ThrowIfZero(options.TscTicksPerTimerTick);
        this.options = options;
        this.readTsc = readTsc;
        timer = new ApicTimer(options.TscTicksPerTimerTick);
        PowerOn();
    }

    /// <summary>State after power-up (Intel SDM vol. 3A, 11.4.1, 11.4.7.1).</summary>
    public void PowerOn()
    {
        apicBase = MemoryMap.LocalApicBase | ApicBaseBits.Enabled | ApicBaseBits.BootstrapProcessor;
        Reset();
    }

    /// <summary>Told the vector of each EOI of a level-triggered interrupt (Intel SDM vol. 3A, 11.8.5); set by the IOAPIC's owner.</summary>
    public Action<byte>? EndOfInterruptBroadcast { get; set; }

    /// <summary>Called when the moment of the next timer expiry has changed by a guest's access, so that a running CPU can be stopped in time.</summary>
    public Action? TimerChanged { get; set; }

    /// <summary>Whether the INTR line to the CPU is asserted: a request whose class is above the processor priority's.</summary>
    public bool InterruptPending => IsEnabled && requested.Highest >> 4 > (int)(ProcessorPriority >> 4);

    /// <summary>TSC value of the next timer expiry, masked or not; null if the timer is not armed.</summary>
    public ulong? NextTimerTsc => timer.NextExpiryTsc;

    /// <summary>Task priority class as CR8 shows it (Intel SDM vol. 3A, 11.8.6).</summary>
    public ulong Cr8
    {
        get => taskPriority >> 4;
        set => taskPriority = (uint)(value & 0xF) << 4;
    }

    private bool IsEnabled => (apicBase & ApicBaseBits.Enabled) != 0;

    private bool IsSoftwareEnabled => (spuriousVector & SpuriousSoftwareEnable) != 0;

    /// <summary>PPR (Intel SDM vol. 3A, 11.8.3.1).</summary>
    private uint ProcessorPriority
    {
        get
        {
            var highest = inService.Highest;
            var serviceClass = highest < 0 ? 0u : (uint)highest & 0xF0;
            return (taskPriority & 0xF0) >= serviceClass ? taskPriority : serviceClass;
        }
    }

    /// <summary>
    /// Interrupt acknowledge: the highest request, now in service; the spurious vector, and nothing in service, if none is
    /// deliverable any more (Intel SDM vol. 3A, 11.9).
    /// </summary>
    public byte Acknowledge()
    {
        if (!InterruptPending)
            return (byte)spuriousVector;
        var vector = requested.Highest;
        requested[vector] = false;
        inService[vector] = true;
        return (byte)vector;
    }

    /// <summary>Takes a pending NMI, if any.</summary>
    public bool TakeNmi()
    {
        var taken = nmiPending;
        nmiPending = false;
        return taken;
    }

    /// <summary>Lets the timer expire if that is due now.</summary>
    public void AdvanceTimer()
    {
        if (timer.Expire(readTsc()))
            DeliverLocal(LvtEntry.Timer);
    }

    /// <summary>A message from the IOAPIC.</summary>
    /// <returns>Whether this APIC accepts it; a message nobody accepts is lost.</returns>
    public bool Accept(in InterruptMessage message)
    {
        if (!IsEnabled || !MatchesIoApicDestination(message.Destination, message.Logical))
            return false;
        switch (message.Mode)
        {
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority:
                return RequestFixed(message.Vector, message.LevelTriggered);
            case DeliveryMode.Nmi:
                nmiPending = true;
                return true;
            default:
                // ExtINT asks a PIC for the vector, and there is none; SMI and INIT have no meaning here.
                return false;
        }
    }

    /// <summary>Sets a request bit; refuses reserved vectors and, while software-disabled, everything.</summary>
    private bool RequestFixed(byte vector, bool levelTriggered)
    {
        if (!IsSoftwareEnabled)
            return false;
        if (vector < 16)
        {
            ReportError(ErrorBits.ReceiveIllegalVector);
            return false;
        }
        requested[vector] = true;
        triggerMode[vector] = levelTriggered;
        return true;
    }

    /// <summary>Delivers an interrupt of a local source through its LVT entry.</summary>
    private void DeliverLocal(LvtEntry entry)
    {
        var value = lvt[(int)entry];
        if ((value & LvtMasked) != 0)
            return;
        var mode = entry is LvtEntry.Timer or LvtEntry.Error ? DeliveryMode.Fixed : (DeliveryMode)(value >> 8 & 7);
        if (mode == DeliveryMode.Fixed)
            RequestFixed((byte)value, levelTriggered: false);
        else if (mode == DeliveryMode.Nmi)
            nmiPending = true;
    }

    /// <summary>Notes an error for the ESR and raises the error interrupt once per kind (Intel SDM vol. 3A, 11.5.3).</summary>
    private void ReportError(uint errorBit)
    {
        if ((errorsPending & errorBit) != 0)
            return;
        errorsPending |= errorBit;
        // An error LVT with an illegal vector must not report itself for ever: the bit is set by now.
        DeliverLocal(LvtEntry.Error);
    }

    private void EndOfInterrupt()
    {
        var vector = inService.Highest;
        if (vector < 0)
            return;
        inService[vector] = false;
        if (triggerMode[vector])
            EndOfInterruptBroadcast?.Invoke((byte)vector);
    }

    /// <summary>State after power-up (Intel SDM vol. 3A, 11.4.7.1), apart from IA32_APIC_BASE.</summary>
    private void Reset()
    {
        inService.Clear();
        triggerMode.Clear();
        requested.Clear();
        timer.Reset();
        Array.Fill(lvt, LvtMasked);
        id = options.ApicId << 24;
        taskPriority = logicalDestination = 0;
        destinationFormat = uint.MaxValue;
        spuriousVector = 0xFF;
        errorsPending = errorsShown = interruptCommandLow = interruptCommandHigh = 0;
        nmiPending = false;
    }

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("LAPC", 1);
        writer.WriteUInt64(apicBase);
        foreach (var field in (ReadOnlySpan<uint>)[id, taskPriority, logicalDestination, destinationFormat, spuriousVector,
            errorsPending, errorsShown, interruptCommandLow, interruptCommandHigh, .. lvt])
            writer.WriteUInt32(field);
        writer.WriteBoolean(nmiPending);
        inService.Snapshot(writer);
        triggerMode.Snapshot(writer);
        requested.Snapshot(writer);
        timer.Snapshot(writer);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("LAPC", 1);
        apicBase = reader.ReadUInt64();
        id = reader.ReadUInt32();
        taskPriority = reader.ReadUInt32();
        logicalDestination = reader.ReadUInt32();
        destinationFormat = reader.ReadUInt32();
        spuriousVector = reader.ReadUInt32();
        errorsPending = reader.ReadUInt32();
        errorsShown = reader.ReadUInt32();
        interruptCommandLow = reader.ReadUInt32();
        interruptCommandHigh = reader.ReadUInt32();
        for (var i = 0; i < lvt.Length; i++)
            lvt[i] = reader.ReadUInt32();
        nmiPending = reader.ReadBoolean();
        inService.Restore(reader);
        triggerMode.Restore(reader);
        requested.Restore(reader);
        timer.Restore(reader);
        reader.Require(taskPriority <= 0xFF);
        return reader.EndSection();
    }
}
