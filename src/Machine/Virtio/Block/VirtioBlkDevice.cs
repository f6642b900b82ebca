using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Block;

/// <summary>
/// The block device (virtio 1.2 §5.2). At the guest's notification requests are checked, write data is copied out of guest memory,
/// and a <see cref="DiskRequest"/> leaves; read data and the status reach guest memory when the matching <see cref="DiskCompletion"/>
/// is delivered. Between the two nothing of the request touches guest memory.
/// </summary>
public sealed partial class VirtioBlkDevice : VirtioModel
{
    /// <summary>In place of a queue: the driver has taken back the queue that the request came from, or has reset the device.</summary>
    private const int NoQueue = byte.MaxValue;

    private sealed record Pending(int Queue, ushort Head, DiskRequest Request, ImmutableArray<GuestSegment> Destination)
    {
        /// <summary>The host has not finished with it, and the driver has: it still counts, and its end touches nothing of the guest.</summary>
        public bool IsForgotten => Queue == NoQueue;

        public ulong BounceBytes => Request.Kind is DiskRequestKind.Read or DiskRequestKind.Write ? Request.LengthBytes : 0;
    }

    private readonly BlockOptions options;
    private readonly IDiskRequestSink sink;
    private readonly byte[] configuration = new byte[BlockProtocol.ConfigurationBytes];
    private readonly byte[] identity = new byte[BlockProtocol.IdentityBytes];

    // In submission order, because ids ascend: the order in which requests are issued again.
    private readonly SortedDictionary<ulong, Pending> pending = [];
    private ulong nextId;
    private ulong inFlightBytes;
    private uint stalledQueues;

    /// <summary>A disk of the given shape whose requests go to <paramref name="sink"/>.</summary>
    public VirtioBlkDevice(BlockOptions options, IDiskRequestSink sink)
        : base(BlockProtocol.DeviceId, FeaturesOf(options), QueueSizes(options))
    {
        ArgumentNullException.ThrowIfNull(sink);
        this.options = options;
        this.sink = sink;
        CapacitySectors = options.CapacitySectors;
        for (int i = 0; i < Math.Min(options.Identity.Length, identity.Length); i++)
        {
            identity[i] = char.IsAscii(options.Identity[i]) ? (byte)options.Identity[i] : (byte)'?';
        }
        BuildConfiguration();
    }

    /// <summary>Size of the disk now, in 512-byte sectors.</summary>
    public ulong CapacitySectors { get; private set; }

    /// <summary>
    /// Requests without a delivered completion, in submission order: what a replica that goes live issues again. Those that the driver has forgotten
    /// are among them: only the end of each makes room for another.
    /// </summary>
    public IEnumerable<DiskRequest> Outstanding
    {
        get
        {
            foreach (Pending request in pending.Values)
            {
                yield return request.Request;
            }
        }
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Configuration => configuration;

    /// <summary>
    /// Delivers the end of a request: read data and status go to guest memory, the buffer goes to the used ring. False if the driver waits for no such
    /// request, as after a reset of the device: nothing of it is touched then.
    /// </summary>
    public bool Complete(DiskCompletion completion)
    {
        ArgumentNullException.ThrowIfNull(completion);
        if (!pending.Remove(completion.Id, out Pending? request))
        {
            return false;
        }
        inFlightBytes -= request.BounceBytes;
        if (IsLive)
        {
            if (!request.IsForgotten)
            {
                Finish(request, completion);
            }
            ResumeStalledQueues();
        }
        return !request.IsForgotten;
    }

    /// <summary>Another medium, or another size: the guest learns the capacity by a configuration change (§5.2.4, §5.2.5).</summary>
    public void ChangeCapacity(ulong capacitySectors)
    {
        CapacitySectors = capacitySectors;
        BuildConfiguration();
        ConfigurationChanged();
    }

    /// <inheritdoc/>
    protected internal override void Notified(int queue)
    {
        // A driver in order has no more buffers with the device than the queue has entries; what one makes available meanwhile waits for the next notification.
        for (uint left = Queue(queue).Size; HasRoom; left--)
        {
            if (left == 0 || !TryPop(queue, out DescriptorChain chain))
            {
                stalledQueues &= ~(1u << queue);
                WantNotifications(queue, wanted: true);
                SignalUsed(queue);
                return;
            }
            Accept(queue, chain);
        }
        stalledQueues |= 1u << queue;
        SignalUsed(queue);
    }

    /// <inheritdoc/>
    protected internal override void QueueReleased(int queue)
    {
        Forget(entry => entry.Queue == queue);
        stalledQueues &= ~(1u << queue);
    }

    /// <inheritdoc/>
    protected internal override void Reset()
    {
        Forget(_ => true);
        stalledQueues = 0;
    }

    /// <summary>Lets go of the guest's buffers, not of the requests: the host has them, and ids go on, so that no end is taken for another request's.</summary>
    private void Forget(Predicate<Pending> which)
    {
        foreach (Pending entry in pending.Values.ToArray())
        {
            if (which(entry))
            {
                pending[entry.Request.Id] = new Pending(NoQueue, 0, entry.Request, []);
            }
        }
    }

    /// <summary>Whether one more request may be taken. Full only by bytes, unless the driver has made the device forget some.</summary>
    private bool HasRoom => inFlightBytes < options.InFlightBytesMax && pending.Count < options.RequestsInFlightMax;

    private void ResumeStalledQueues()
    {
        for (int queue = 0; queue < options.QueueCount && stalledQueues != 0; queue++)
        {
            if ((stalledQueues & (1u << queue)) != 0)
            {
                Notified(queue);
            }
        }
    }

    private void Accept(int queue, DescriptorChain chain)
    {
        if (chain.WritableBytes == 0)
        {
            NeedsReset(VirtqueueFault.RequestWithoutStatus);
            return;
        }
        Span<byte> header = stackalloc byte[BlockProtocol.HeaderBytes];
        if (chain.Read(Memory, 0, header) < header.Length)
        {
            Answer(queue, chain, BlockProtocol.StatusIoError);
            return;
        }
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        switch (type)
        {
            case BlockProtocol.TypeRead:
                AcceptTransfer(queue, chain, DiskRequestKind.Read, sector, chain.WritableBytes - 1);
                break;
            case BlockProtocol.TypeWrite:
                AcceptTransfer(queue, chain, DiskRequestKind.Write, sector, chain.ReadableBytes - BlockProtocol.HeaderBytes);
                break;
            case BlockProtocol.TypeFlush:
                Submit(queue, chain, DiskRequestKind.Flush, 0, 0, [], mayUnmap: false);
                break;
            case BlockProtocol.TypeGetIdentity:
                AnswerIdentity(queue, chain);
                break;
            case BlockProtocol.TypeDiscard or BlockProtocol.TypeWriteZeroes:
                AcceptRange(queue, chain, type);
                break;
            default:
                Answer(queue, chain, BlockProtocol.StatusUnsupported);
                break;
        }
    }

    private void AcceptTransfer(int queue, DescriptorChain chain, DiskRequestKind kind, ulong sector, ulong lengthBytes)
    {
        bool refused = lengthBytes == 0
            || lengthBytes % BlockProtocol.SectorBytes != 0                   // §5.2.6: data is a multiple of 512 bytes
            || lengthBytes > options.RequestBytesMax
            || !IsOnDisk(sector, lengthBytes / BlockProtocol.SectorBytes)
            || (kind == DiskRequestKind.Write && options.ReadOnly);           // §5.2.6.2: IOERR, and nothing written
        if (refused)
        {
            Answer(queue, chain, BlockProtocol.StatusIoError);
            return;
        }
        byte[] data = [];
        if (kind == DiskRequestKind.Write)
        {
            data = new byte[lengthBytes];
            chain.Read(Memory, BlockProtocol.HeaderBytes, data);
        }
        Submit(queue, chain, kind, sector, lengthBytes, ImmutableCollectionsMarshal.AsImmutableArray(data), mayUnmap: false);
    }

    private void AcceptRange(int queue, DescriptorChain chain, uint type)
    {
        Span<byte> range = stackalloc byte[BlockProtocol.RangeBytes];
        bool single = chain.ReadableBytes == BlockProtocol.HeaderBytes + BlockProtocol.RangeBytes;   // max_*_seg is 1
        if (!single || chain.Read(Memory, BlockProtocol.HeaderBytes, range) < range.Length || options.ReadOnly)
        {
            Answer(queue, chain, BlockProtocol.StatusIoError);
            return;
        }
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(range);
        uint sectors = BinaryPrimitives.ReadUInt32LittleEndian(range[8..]);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(range[12..]);
        // §5.2.6.2: unknown flags, and unmap on a discard, are unsupported.
        uint allowedFlags = type == BlockProtocol.TypeWriteZeroes ? BlockProtocol.RangeUnmap : 0;
        if ((flags & ~allowedFlags) != 0)
        {
            Answer(queue, chain, BlockProtocol.StatusUnsupported);
            return;
        }
        if (sectors == 0 || sectors > options.DiscardSectorsMax || !IsOnDisk(sector, sectors))
        {
            Answer(queue, chain, BlockProtocol.StatusIoError);
            return;
        }
        DiskRequestKind kind = type == BlockProtocol.TypeDiscard ? DiskRequestKind.Discard : DiskRequestKind.WriteZeroes;
        Submit(queue, chain, kind, sector, (ulong)sectors * BlockProtocol.SectorBytes, [], flags != 0);
    }

    private void AnswerIdentity(int queue, DescriptorChain chain)
    {
        // §5.2.6: the string is padded with zeroes to 20 bytes, not terminated if it is that long.
        int length = (int)Math.Min(chain.WritableBytes - 1, (ulong)identity.Length);
        chain.Write(Memory, 0, identity.AsSpan(0, length));
        chain.Write(Memory, chain.WritableBytes - 1, [BlockProtocol.StatusOk]);
        Push(queue, chain.Head, WrittenBytes(chain.WritableBytes, (ulong)length));
    }

    private void Answer(int queue, DescriptorChain chain, byte status)
    {
        chain.Write(Memory, chain.WritableBytes - 1, [status]);
        Push(queue, chain.Head, WrittenBytes(chain.WritableBytes, 0));
    }

    private void Submit(
        int queue, DescriptorChain chain, DiskRequestKind kind, ulong sector, ulong lengthBytes, ImmutableArray<byte> data, bool mayUnmap)
    {
        var request = new DiskRequest(nextId++, kind, sector, lengthBytes, data, mayUnmap);
        var entry = new Pending(queue, chain.Head, request, [.. chain.Writable]);
        pending.Add(request.Id, entry);
        inFlightBytes += entry.BounceBytes;
        sink.Submit(request);
    }

    private void Finish(Pending request, DiskCompletion completion)
    {
        ulong writable = 0;
        foreach (GuestSegment segment in request.Destination)
        {
            writable += segment.LengthBytes;
        }
        DiskStatus status = completion.Status;
        ulong dataBytes = 0;
        if (request.Request.Kind == DiskRequestKind.Read && status == DiskStatus.Ok)
        {
            if (!completion.Data.IsDefault && (ulong)completion.Data.Length == request.Request.LengthBytes)
            {
                dataBytes = request.Request.LengthBytes;
                DescriptorChain.Write(Memory, request.Destination, 0, completion.Data.AsSpan());
            }
            else
            {
                status = DiskStatus.IoError;   // A backend that returns another length has not read what was asked.
            }
        }
        byte code = status switch
        {
            DiskStatus.Ok => BlockProtocol.StatusOk,
            DiskStatus.Unsupported => BlockProtocol.StatusUnsupported,
            _ => BlockProtocol.StatusIoError,
        };
        DescriptorChain.Write(Memory, request.Destination, writable - 1, [code]);
        Push(request.Queue, request.Head, WrittenBytes(writable, dataBytes));
        SignalUsed(request.Queue);
    }

    /// <summary>
    /// The length for the used ring: bytes written without a gap from the start of the writable part (§2.7.8.2). The status byte
    /// counts if it follows the data at once.
    /// </summary>
    private static uint WrittenBytes(ulong writableBytes, ulong dataBytes) =>
        (uint)Math.Min(dataBytes == writableBytes - 1 ? writableBytes : dataBytes, uint.MaxValue);

    private bool IsOnDisk(ulong sector, ulong sectors) => sector <= CapacitySectors && sectors <= CapacitySectors - sector;

    private static ushort[] QueueSizes(BlockOptions options)
    {
        var sizes = new ushort[options.QueueCount];
        Array.Fill(sizes, options.QueueSize);
        return sizes;
    }

    private static ulong FeaturesOf(BlockOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        ulong features = BlockProtocol.FeatureSizeMax | BlockProtocol.FeatureSegmentsMax | BlockProtocol.FeatureBlockSize
            | BlockProtocol.FeatureFlush | BlockProtocol.FeatureTopology;
        features |= options.ReadOnly ? BlockProtocol.FeatureReadOnly : BlockProtocol.FeatureDiscard | BlockProtocol.FeatureWriteZeroes;
        return options.QueueCount > 1 ? features | BlockProtocol.FeatureMultiQueue : features;
    }

    /// <summary><c>struct virtio_blk_config</c> (§5.2.4).</summary>
    private void BuildConfiguration()
    {
        Span<byte> space = configuration;
        space.Clear();
        uint sectorsPerBlock = options.BlockBytes / BlockProtocol.SectorBytes;
        BinaryPrimitives.WriteUInt64LittleEndian(space, CapacitySectors);
        BinaryPrimitives.WriteUInt32LittleEndian(space[8..], options.SegmentBytesMax);
        BinaryPrimitives.WriteUInt32LittleEndian(space[12..], options.SegmentsMax);
        BinaryPrimitives.WriteUInt32LittleEndian(space[20..], options.BlockBytes);
        space[24] = (byte)uint.Log2(options.PhysicalBlockBytes / options.BlockBytes);                // physical_block_exp
        BinaryPrimitives.WriteUInt16LittleEndian(space[26..], (ushort)Math.Min(options.PhysicalBlockBytes / options.BlockBytes, ushort.MaxValue));   // min_io_size
        BinaryPrimitives.WriteUInt16LittleEndian(space[34..], options.QueueCount);                   // num_queues
        if (!options.ReadOnly)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(space[36..], options.DiscardSectorsMax);        // max_discard_sectors
            BinaryPrimitives.WriteUInt32LittleEndian(space[40..], 1);                                // max_discard_seg
            BinaryPrimitives.WriteUInt32LittleEndian(space[44..], Math.Max(sectorsPerBlock, 1));     // discard_sector_alignment
            BinaryPrimitives.WriteUInt32LittleEndian(space[48..], options.DiscardSectorsMax);        // max_write_zeroes_sectors
            BinaryPrimitives.WriteUInt32LittleEndian(space[52..], 1);                                // max_write_zeroes_seg
            space[56] = 1;                                                                           // write_zeroes_may_unmap
        }
    }
}
