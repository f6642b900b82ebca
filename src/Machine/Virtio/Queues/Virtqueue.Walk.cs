namespace FtAkka.Machine.Virtio.Queues;

/// <summary>Reading and checking one descriptor chain.</summary>
public sealed partial class Virtqueue
{
    private const ulong ChainBytesMax = 1UL << 32;   // §2.7.5: a chain is at most 2^32 bytes in total

    /// <summary>
    /// Fills <see cref="Chain"/> from <paramref name="head"/>. The whole chain is checked before a byte of any buffer is touched.
    /// A chain may have up to <see cref="SizeMax"/> descriptors, even if the driver chose a smaller queue: a driver sizes its indirect
    /// tables by the limits in the device's configuration space, and those are fixed before it chooses.
    /// </summary>
    private VirtqueueFault Walk(ushort head)
    {
        Chain.Begin(head);
        ulong table = DescriptorTable;
        uint tableEntries = Size;
        bool inIndirect = false;
        int descriptors = 0;
        uint index = head;
        Span<byte> raw = stackalloc byte[Descriptor.SizeBytes];
        while (true)
        {
            if (index >= tableEntries)
            {
                return VirtqueueFault.NextOutOfRange;
            }
            // A table without a loop is left after as many steps as it has entries.
            if (++descriptors > SizeMax)
            {
                return VirtqueueFault.ChainTooLong;
            }
            if (!memory.TryRead(table + (index * Descriptor.SizeBytes), raw))
            {
                return inIndirect ? VirtqueueFault.BufferOutsideRam : VirtqueueFault.RingOutsideRam;
            }
            Descriptor descriptor = Descriptor.Decode(raw);
            if (descriptor.IsIndirect)
            {
                VirtqueueFault refusal = CheckIndirect(descriptor, inIndirect);
                if (refusal != VirtqueueFault.None)
                {
                    return refusal;
                }
                // §2.7.5.3.2: WRITE is ignored here, and the table starts with its entry 0.
                table = descriptor.Address;
                tableEntries = descriptor.LengthBytes / Descriptor.SizeBytes;
                inIndirect = true;
                index = 0;
                descriptors--;   // The table replaces the descriptor that names it.
                continue;
            }
            VirtqueueFault fault = AppendSegment(descriptor);
            if (fault != VirtqueueFault.None || !descriptor.HasNext)
            {
                return fault;
            }
            index = descriptor.Next;
        }
    }

    private VirtqueueFault CheckIndirect(Descriptor descriptor, bool inIndirect)
    {
        if (!IndirectDescriptors)
        {
            return VirtqueueFault.IndirectNotNegotiated;
        }
        if (inIndirect || descriptor.HasNext)
        {
            return VirtqueueFault.IndirectNested;
        }
        if (descriptor.LengthBytes == 0 || descriptor.LengthBytes % Descriptor.SizeBytes != 0)
        {
            return VirtqueueFault.IndirectLength;
        }
        return GuestSegment.IsRam(memory, descriptor.Address, descriptor.LengthBytes)
            ? VirtqueueFault.None
            : VirtqueueFault.BufferOutsideRam;
    }

    private VirtqueueFault AppendSegment(Descriptor descriptor)
    {
        if (descriptor.LengthBytes == 0)
        {
            return VirtqueueFault.EmptyDescriptor;
        }
        if (!descriptor.IsWritable && Chain.Writable.Count > 0)
        {
            return VirtqueueFault.ReadableAfterWritable;
        }
        if (Chain.ReadableBytes + Chain.WritableBytes + descriptor.LengthBytes > ChainBytesMax)
        {
            return VirtqueueFault.ChainTooLarge;
        }
        if (!GuestSegment.IsRam(memory, descriptor.Address, descriptor.LengthBytes))
        {
            return VirtqueueFault.BufferOutsideRam;
        }
        Chain.Append(new GuestSegment(descriptor.Address, descriptor.LengthBytes), descriptor.IsWritable);
        return VirtqueueFault.None;
    }
}
