using System.Buffers.Binary;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>
/// The receive side. A frame that finds no guest buffer is held, in order, up to <see cref="NetOptions.HeldFramesMax"/> frames and
/// <see cref="NetOptions.HeldBytesMax"/> bytes; beyond that the newest is dropped and counted, as a full receive ring of a real card does.
/// </summary>
public sealed partial class VirtioNetDevice
{
    private enum Delivery
    {
        Done,
        NoBuffer,
        Dropped,
        Broken,
    }

    private readonly record struct FilledBuffer(ushort Head, uint WrittenBytes);

    private readonly Queue<byte[]> held = new();
    private readonly List<FilledBuffer> filled = [];
    private byte[] scratch = [];
    private int heldBytes;

    // True: the driver is asked to notify of new receive buffers. It starts so, for that is what freshly zeroed rings say.
    private bool starved = true;

    /// <summary>Frames held for want of guest buffers.</summary>
    public int HeldFrames => held.Count;

    /// <summary>
    /// Delivers one received Ethernet frame (without FCS). False if it was dropped. The guest is interrupted at most once for all
    /// frames delivered at the same icount, for it cannot acknowledge in between.
    /// </summary>
    public bool Receive(ReadOnlySpan<byte> frame)
    {
        bool fits = frame.Length >= NetProtocol.EthernetHeaderBytes && frame.Length <= options.FrameBytesMax;
        if (!fits || !IsLive || !LinkUp || held.Count >= options.HeldFramesMax || heldBytes + frame.Length > options.HeldBytesMax)
        {
            ReceiveDrops++;
            return false;
        }
        if (held.Count == 0)
        {
            Delivery outcome = TryDeliver(frame);
            SignalUsed(NetProtocol.ReceiveQueue);
            if (outcome != Delivery.NoBuffer)
            {
                return outcome == Delivery.Done;
            }
        }
        held.Enqueue(frame.ToArray());
        heldBytes += frame.Length;
        SetStarved(true);
        return true;
    }

    private void DeliverHeld()
    {
        while (held.TryPeek(out byte[]? frame))
        {
            Delivery outcome = TryDeliver(frame);
            if (outcome is Delivery.NoBuffer or Delivery.Broken)
            {
                break;
            }
            held.Dequeue();
            heldBytes -= frame.Length;
        }
        SetStarved(held.Count > 0);
        SignalUsed(NetProtocol.ReceiveQueue);
    }

    private void SetStarved(bool now)
    {
        if (now || starved)
        {
            WantNotifications(NetProtocol.ReceiveQueue, now);
        }
        starved = now;
    }

    /// <summary>Puts header and frame into as many buffers as needed, or into none.</summary>
    private Delivery TryDeliver(ReadOnlySpan<byte> frame)
    {
        int length = NetProtocol.HeaderBytes + frame.Length;
        if (scratch.Length < length)
        {
            scratch = new byte[NetProtocol.HeaderBytes + options.FrameBytesMax];
        }
        Span<byte> message = scratch.AsSpan(0, length);
        message[..NetProtocol.HeaderBytes].Clear();
        frame.CopyTo(message[NetProtocol.HeaderBytes..]);
        if ((Features & NetProtocol.FeatureGuestChecksum) != 0 && InternetChecksum.HasValidTransportChecksum(frame))
        {
            message[0] = NetProtocol.HeaderDataValid;
        }
        if (!TryPopBuffer(out DescriptorChain chain))
        {
            return IsLive ? Delivery.NoBuffer : Delivery.Broken;
        }
        return chain.WritableBytes >= (ulong)message.Length ? DeliverWhole(chain, message) : DeliverInParts(message);
    }

    private Delivery DeliverWhole(DescriptorChain chain, Span<byte> message)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(message[10..], 1);   // num_buffers, merging negotiated or not (§5.1.6.4.1)
        chain.Write(Memory, 0, message);
        Push(NetProtocol.ReceiveQueue, chain.Head, (uint)message.Length);
        ReceivedFrames++;
        return Delivery.Done;
    }

    /// <summary>The first buffer, just popped, is too small for the message.</summary>
    private Delivery DeliverInParts(Span<byte> message)
    {
        Queue(NetProtocol.ReceiveQueue).Unpop(1);
        if ((Features & NetProtocol.FeatureMergeableBuffers) != 0)
        {
            return DeliverMerged(message);
        }
        ReceiveDrops++;   // The driver must post buffers of the MTU's size (§5.1.6.3.1).
        return Delivery.Dropped;
    }

    private Delivery DeliverMerged(Span<byte> message)
    {
        Virtqueue queue = Queue(NetProtocol.ReceiveQueue);
        // First see how many buffers it takes: num_buffers stands in the first one, which is written before the last is known.
        ulong room = 0;
        int buffers = 0;
        while (room < (ulong)message.Length)
        {
            if (!TryPopBuffer(out DescriptorChain probe))
            {
                break;
            }
            room += probe.WritableBytes;
            buffers++;
        }
        if (!IsLive)
        {
            return Delivery.Broken;
        }
        bool enough = room >= (ulong)message.Length;
        queue.Unpop(buffers);
        if (!enough)
        {
            if (buffers < queue.Size)
            {
                return Delivery.NoBuffer;
            }
            ReceiveDrops++;   // The whole ring does not hold the frame; waiting would be for ever.
            return Delivery.Dropped;
        }
        BinaryPrimitives.WriteUInt16LittleEndian(message[10..], (ushort)buffers);
        return FillBuffers(message, buffers);
    }

    private Delivery FillBuffers(ReadOnlySpan<byte> message, int buffers)
    {
        filled.Clear();
        for (int i = 0; i < buffers; i++)
        {
            // Popping again sees the same chain, unless a hostile driver laid it over a buffer just written: that is a fault or a
            // shorter buffer, both harmless.
            if (!TryPopBuffer(out DescriptorChain chain))
            {
                return Delivery.Broken;
            }
            int written = chain.Write(Memory, 0, message);
            message = message[written..];
            filled.Add(new FilledBuffer(chain.Head, (uint)written));
        }
        // The used entries of one frame become visible together (§5.1.6.4.1).
        foreach (FilledBuffer buffer in filled)
        {
            Push(NetProtocol.ReceiveQueue, buffer.Head, buffer.WrittenBytes);
        }
        ReceivedFrames++;
        return Delivery.Done;
    }

    private bool TryPopBuffer(out DescriptorChain chain)
    {
        if (!TryPop(NetProtocol.ReceiveQueue, out chain))
        {
            return false;
        }
        if (chain.ReadableBytes == 0)
        {
            return true;
        }
        NeedsReset(VirtqueueFault.WrongDirection);
        return false;
    }
}
