using System.Buffers.Binary;
using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Virtio.Queues;

/// <summary>What <see cref="Virtqueue.Pop"/> found.</summary>
public enum VirtqueuePop
{
    /// <summary>The driver has made nothing further available.</summary>
    Empty,

    /// <summary>A valid chain was taken: <see cref="Virtqueue.Chain"/>.</summary>
    Chain,

    /// <summary>The driver broke the format: <see cref="Virtqueue.Fault"/>. Nothing was taken.</summary>
    Fault,
}

/// <summary>
/// The device side of a split virtqueue (virtio 1.2 §2.7): takes descriptor chains from the available ring, returns them on the used
/// ring, and decides whether the driver wants an interrupt. Guest memory is touched only inside its calls. Whatever the driver wrote,
/// the outcome is a value and no byte outside RAM is touched.
/// </summary>
public sealed partial class Virtqueue
{
    private const int RingHeaderBytes = 4;           // flags and idx of both rings (§2.7.6, §2.7.8)
    private const int UsedElementBytes = 8;          // struct virtq_used_elem
    private const ushort AvailableNoInterrupt = 1;   // VIRTQ_AVAIL_F_NO_INTERRUPT
    private const ushort UsedNoNotify = 1;           // VIRTQ_USED_F_NO_NOTIFY

    private readonly IGuestPhysicalMemory memory;
    private ushort nextAvailable;
    private ushort nextUsed;
    private ushort signalledUsed;

    /// <summary>A queue of at most <paramref name="sizeMax"/> entries (a power of two, at most 32768: §2.7).</summary>
    public Virtqueue(IGuestPhysicalMemory memory, ushort sizeMax)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!IsLegalSize(sizeMax))
        {
            throw new ArgumentOutOfRangeException(nameof(sizeMax), sizeMax, "A split queue has 1 to 32768 entries, a power of two.");
        }
        this.memory = memory;
        SizeMax = sizeMax;
        Reset();
    }

    /// <summary>QueueNumMax: the largest size the device accepts.</summary>
    public ushort SizeMax { get; }

    /// <summary>QueueNum: the size the driver chose.</summary>
    public uint Size { get; private set; }

    /// <summary>QueueReady: the device may use the queue.</summary>
    public bool Ready { get; private set; }

    /// <summary>QueueDesc: guest physical address of the descriptor table.</summary>
    public ulong DescriptorTable { get; private set; }

    /// <summary>QueueDriver: guest physical address of the available ring.</summary>
    public ulong DriverArea { get; private set; }

    /// <summary>QueueDevice: guest physical address of the used ring.</summary>
    public ulong DeviceArea { get; private set; }

    /// <summary><c>VIRTIO_F_EVENT_IDX</c> was negotiated.</summary>
    public bool EventIndex { get; internal set; }

    /// <summary><c>VIRTIO_F_INDIRECT_DESC</c> was negotiated.</summary>
    public bool IndirectDescriptors { get; internal set; }

    /// <summary>The fault of the last failing call, or <see cref="VirtqueueFault.None"/>.</summary>
    public VirtqueueFault Fault { get; private set; }

    /// <summary>The chain of the last successful <see cref="Pop"/>; overwritten by the next one.</summary>
    public DescriptorChain Chain { get; } = new();

    /// <summary>Chains taken and not yet returned.</summary>
    public int Outstanding => (ushort)(nextAvailable - nextUsed);

    /// <summary>Back to the state after power-on.</summary>
    public void Reset()
    {
        Size = 0;
        Ready = false;
        DescriptorTable = DriverArea = DeviceArea = 0;
        EventIndex = IndirectDescriptors = false;
        Fault = VirtqueueFault.None;
        nextAvailable = nextUsed = signalledUsed = 0;
    }

    /// <summary>Sets the geometry. Ignored while the queue is ready, when the driver must not do so (§4.2.2.2).</summary>
    public void Configure(uint? size = null, ulong? descriptorTable = null, ulong? driverArea = null, ulong? deviceArea = null)
    {
        if (Ready)
        {
            return;
        }
        Size = size ?? Size;
        DescriptorTable = descriptorTable ?? DescriptorTable;
        DriverArea = driverArea ?? DriverArea;
        DeviceArea = deviceArea ?? DeviceArea;
    }

    /// <summary>QueueReady := 1. False, with <see cref="Fault"/> set and the queue not ready, if size, alignment or place is illegal.</summary>
    public bool TryEnable()
    {
        if (Ready)
        {
            return true;
        }
        bool legal = IsLegalSize(Size) && Size <= SizeMax
            && DescriptorTable % 16 == 0 && DriverArea % 2 == 0 && DeviceArea % 4 == 0;   // §2.7, table of alignments
        if (!legal)
        {
            return Fail(VirtqueueFault.IllegalQueueSetup);
        }
        bool inRam = GuestSegment.IsRam(memory, DescriptorTable, Size * Descriptor.SizeBytes)
            && GuestSegment.IsRam(memory, DriverArea, RingHeaderBytes + (Size * 2) + 2)
            && GuestSegment.IsRam(memory, DeviceArea, RingHeaderBytes + (Size * UsedElementBytes) + 2);
        if (!inRam)
        {
            return Fail(VirtqueueFault.RingOutsideRam);
        }
        nextAvailable = nextUsed = signalledUsed = 0;
        Ready = true;
        return true;
    }

    /// <summary>QueueReady := 0: the device lets go of the queue.</summary>
    public void Disable() => Ready = false;

    /// <summary>Takes the next available chain into <see cref="Chain"/>.</summary>
    public VirtqueuePop Pop()
    {
        if (!Ready)
        {
            return VirtqueuePop.Empty;
        }
        if (!TryReadUInt16(DriverArea + 2, out ushort available))
        {
            return FailPop(VirtqueueFault.RingOutsideRam);
        }
        ushort waiting = (ushort)(available - nextAvailable);
        if (waiting == 0)
        {
            return VirtqueuePop.Empty;
        }
        // A driver has at most Size chains with the device at any time; more means that it overwrote entries in flight.
        if (waiting > Size || (ushort)(available - nextUsed) > Size)
        {
            return FailPop(VirtqueueFault.AvailableIndexJump);
        }
        if (!TryReadUInt16(DriverArea + RingHeaderBytes + (2 * (nextAvailable % Size)), out ushort head))
        {
            return FailPop(VirtqueueFault.RingOutsideRam);
        }
        if (head >= Size)
        {
            return FailPop(VirtqueueFault.HeadOutOfRange);
        }
        VirtqueueFault fault = Walk(head);
        if (fault != VirtqueueFault.None)
        {
            return FailPop(fault);
        }
        nextAvailable++;
        return VirtqueuePop.Chain;
    }

    /// <summary>Gives back the last <paramref name="chains"/> popped chains untouched: the next <see cref="Pop"/> takes them again.</summary>
    public void Unpop(int chains)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chains, Outstanding);
        ArgumentOutOfRangeException.ThrowIfNegative(chains);
        nextAvailable = (ushort)(nextAvailable - chains);
    }

    /// <summary>
    /// Returns a chain to the driver with the number of bytes written from the start of its writable part (§2.7.8). False if the used
    /// ring is not RAM.
    /// </summary>
    public bool TryPush(ushort head, uint writtenBytes)
    {
        if (!Ready)
        {
            return true;   // The driver took the queue back; nobody looks at the ring.
        }
        Span<byte> element = stackalloc byte[UsedElementBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(element, head);
        BinaryPrimitives.WriteUInt32LittleEndian(element[4..], writtenBytes);
        if (!memory.TryWrite(DeviceArea + RingHeaderBytes + (UsedElementBytes * (nextUsed % Size)), element))
        {
            return Fail(VirtqueueFault.RingOutsideRam);
        }
        nextUsed++;
        return TryWriteUInt16(DeviceArea + 2, nextUsed) || Fail(VirtqueueFault.RingOutsideRam);
    }

    /// <summary>
    /// True if the driver wants an interrupt for what was pushed since the last call (§2.7.7, §2.7.10). Call once after each batch.
    /// </summary>
    public bool TakeInterruptDecision()
    {
        ushort before = signalledUsed;
        signalledUsed = nextUsed;
        if (!Ready || before == nextUsed)
        {
            return false;
        }
        if (EventIndex)
        {
            return TryReadUInt16(DriverArea + RingHeaderBytes + (2 * Size), out ushort usedEvent)
                && (ushort)(nextUsed - usedEvent - 1) < (ushort)(nextUsed - before);
        }
        return TryReadUInt16(DriverArea, out ushort flags) && (flags & AvailableNoInterrupt) == 0;
    }

    /// <summary>
    /// Tells the driver whether to notify the device of buffers beyond those it has made available by now (§2.7.9, §2.7.10). A driver
    /// runs only while no device does, so nothing can slip in between the last <see cref="Pop"/> and this call. False if the ring is not RAM.
    /// </summary>
    public bool TryWantNotifications(bool wanted)
    {
        if (!Ready)
        {
            return true;
        }
        if (!EventIndex)
        {
            return TryWriteUInt16(DeviceArea, wanted ? (ushort)0 : UsedNoNotify) || Fail(VirtqueueFault.RingOutsideRam);
        }
        // Not nextAvailable: chains may have been given back, and the driver is past them. "Unwanted" is an index just passed, which
        // the driver meets again only after 65,535 more buffers.
        bool done = TryReadUInt16(DriverArea + 2, out ushort available)
            && TryWriteUInt16(DeviceArea + RingHeaderBytes + (UsedElementBytes * Size), wanted ? available : (ushort)(available - 1));
        return done || Fail(VirtqueueFault.RingOutsideRam);
    }

    private static bool IsLegalSize(uint size) => size is > 0 and <= 32768 && (size & (size - 1)) == 0;

    private bool TryReadUInt16(ulong address, out ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        bool read = memory.TryRead(address, bytes);
        value = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        return read;
    }

    private bool TryWriteUInt16(ulong address, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        return memory.TryWrite(address, bytes);
    }

    private bool Fail(VirtqueueFault fault)
    {
        Fault = fault;
        return false;
    }

    private VirtqueuePop FailPop(VirtqueueFault fault)
    {
        Fault = fault;
        return VirtqueuePop.Fault;
    }
}
