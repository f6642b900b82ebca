using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>
/// The network device (virtio 1.2 §5.1) with one pair of queues. Frames leave, all of one notification together, when the guest
/// notifies the transmit queue; received frames go to guest buffers when their input event is delivered. The receive queue asks for
/// notifications only while frames are held for want of buffers.
/// </summary>
public sealed partial class VirtioNetDevice : VirtioModel
{
    private readonly NetOptions options;
    private readonly INetTransmitSink sink;
    private readonly byte[] configuration = new byte[NetProtocol.ConfigurationBytes];

    /// <summary>A device of the given shape whose frames go to <paramref name="sink"/>.</summary>
    public VirtioNetDevice(NetOptions options, INetTransmitSink sink)
        : base(NetProtocol.DeviceId, OfferedBy(options), options.QueueSize, options.QueueSize)
    {
        ArgumentNullException.ThrowIfNull(sink);
        this.options = options;
        this.sink = sink;
        options.Mac.CopyTo(configuration);
        BinaryPrimitives.WriteUInt16LittleEndian(configuration.AsSpan(6), NetProtocol.StatusLinkUp);
        BinaryPrimitives.WriteUInt16LittleEndian(configuration.AsSpan(10), options.Mtu);
    }

    /// <summary>Frames handed to the sink since power-on.</summary>
    public ulong TransmittedFrames { get; private set; }

    /// <summary>
    /// Buffers of the guest that were no frames (too short, too long, or with a checksum position outside), or one too many for one notification
    /// (<see cref="NetOptions.NotificationBytesMax"/>).
    /// </summary>
    public ulong TransmitDrops { get; private set; }

    /// <summary>Frames put into guest buffers since power-on.</summary>
    public ulong ReceivedFrames { get; private set; }

    /// <summary>Received frames dropped: driver not up, link down, frame or backlog too large, or guest buffers too small.</summary>
    public ulong ReceiveDrops { get; private set; }

    /// <summary>The link state as the guest reads it.</summary>
    public bool LinkUp => configuration[6] == NetProtocol.StatusLinkUp;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Configuration => configuration;

    /// <summary>Plugs or unplugs the cable; the guest hears of a change by a configuration interrupt (§5.1.4).</summary>
    public void SetLink(bool up)
    {
        if (up != LinkUp)
        {
            configuration[6] = up ? (byte)NetProtocol.StatusLinkUp : (byte)0;
            ConfigurationChanged();
        }
    }

    /// <inheritdoc/>
    protected internal override void Notified(int queue)
    {
        if (queue == NetProtocol.TransmitQueue)
        {
            TransmitAll();
        }
        else
        {
            DeliverHeld();
        }
    }

    /// <inheritdoc/>
    protected internal override void Reset()
    {
        ReceiveDrops += (ulong)held.Count;
        held.Clear();
        heldBytes = 0;
        starved = true;
    }

    private void TransmitAll()
    {
        ImmutableArray<ImmutableArray<byte>>.Builder? frames = null;
        long bytes = 0;
        // Not until it is empty: a driver may lay its rings so that each answer makes another buffer available.
        for (uint left = Queue(NetProtocol.TransmitQueue).Size; left > 0 && TryPop(NetProtocol.TransmitQueue, out DescriptorChain chain); left--)
        {
            if (chain.WritableBytes != 0)
            {
                NeedsReset(VirtqueueFault.WrongDirection);
                break;
            }
            frames ??= ImmutableArray.CreateBuilder<ImmutableArray<byte>>();
            int before = frames.Count;
            if (bytes < options.NotificationBytesMax && TryTakeFrames(chain, frames))
            {
                TransmittedFrames += (ulong)(frames.Count - before);
                for (int i = before; i < frames.Count; i++)
                {
                    bytes += frames[i].Length;
                }
            }
            else
            {
                TransmitDrops++;
            }
            Push(NetProtocol.TransmitQueue, chain.Head, 0);
        }
        WantNotifications(NetProtocol.TransmitQueue, wanted: true);
        SignalUsed(NetProtocol.TransmitQueue);
        if (frames?.Count > 0)
        {
            sink.Transmit(frames.ToImmutable());
        }
    }

    /// <summary>Takes what the chain holds: a frame, or a large segment that becomes several. False, and nothing taken, if it is neither.</summary>
    private bool TryTakeFrames(DescriptorChain chain, ImmutableArray<ImmutableArray<byte>>.Builder frames)
    {
        Span<byte> header = stackalloc byte[NetProtocol.HeaderBytes];
        if (chain.ReadableBytes < (ulong)(NetProtocol.HeaderBytes + NetProtocol.EthernetHeaderBytes)
            || chain.ReadableBytes > (ulong)(NetProtocol.HeaderBytes + options.TransmitBytesMax))
        {
            return false;
        }
        chain.Read(Memory, 0, header);
        int length = (int)chain.ReadableBytes - NetProtocol.HeaderBytes;
        bool isLarge = header[1] != NetProtocol.GsoNone;
        if (isLarge ? !MayCut(header[1]) : length > options.FrameBytesMax)
        {
            return false;
        }
        byte[] frame = new byte[length];
        chain.Read(Memory, NetProtocol.HeaderBytes, frame);
        if (isLarge)
        {
            return TcpSegmentation.TryCut(frame, header, options.FrameBytesMax, frames);
        }
        if ((header[0] & NetProtocol.HeaderNeedsChecksum) != 0 && !TryCompleteChecksum(frame, header))
        {
            return false;
        }
        frames.Add(ImmutableCollectionsMarshal.AsImmutableArray(frame));
        return true;
    }

    /// <summary>Whether the driver has negotiated what it asks for (§5.1.6.2.1).</summary>
    private bool MayCut(byte type)
    {
        ulong needed = (type & ~NetProtocol.GsoEcn) switch
        {
            NetProtocol.GsoTcpIpv4 => NetProtocol.FeatureHostTcp4,
            NetProtocol.GsoTcpIpv6 => NetProtocol.FeatureHostTcp6,
            _ => 0,
        };
        ulong ecn = (type & NetProtocol.GsoEcn) != 0 ? NetProtocol.FeatureHostEcn : 0;
        return needed != 0 && (Features & (needed | ecn)) == (needed | ecn);
    }

    private bool TryCompleteChecksum(byte[] frame, ReadOnlySpan<byte> header) =>
        (Features & NetProtocol.FeatureChecksum) != 0
            && InternetChecksum.TryComplete(
                frame,
                BinaryPrimitives.ReadUInt16LittleEndian(header[6..]),
                BinaryPrimitives.ReadUInt16LittleEndian(header[8..]));

    private static ulong OfferedBy(NetOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        ulong segmentation = options.Segmentation ? NetProtocol.FeatureHostTcp4 | NetProtocol.FeatureHostTcp6 | NetProtocol.FeatureHostEcn : 0;
        return segmentation | NetProtocol.FeatureChecksum | NetProtocol.FeatureGuestChecksum | NetProtocol.FeatureMtu | NetProtocol.FeatureMac
            | NetProtocol.FeatureMergeableBuffers | NetProtocol.FeatureStatus;
    }
}
