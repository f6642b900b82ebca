using System.Buffers.Binary;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>A buffer of a request as a driver describes it.</summary>
internal readonly record struct DriverBuffer(ulong Address, uint LengthBytes, bool DeviceWrites);

/// <summary>An entry the device put on the used ring.</summary>
internal readonly record struct UsedElement(uint Head, uint WrittenBytes);

/// <summary>
/// The driver's side of a split virtqueue (virtio 1.2 §2.7.13, §2.7.14), written from the specification and independent of the device's
/// code: descriptor allocation, available ring, used ring, EVENT_IDX.
/// </summary>
internal sealed class DriverQueue
{
    private readonly TestRam ram;
    private readonly Stack<ushort> free = new();
    private readonly SortedDictionary<ushort, ushort[]> chains = [];
    private ushort nextUsed;

    public DriverQueue(TestRam ram, ulong baseAddress, ushort size)
    {
        this.ram = ram;
        Size = size;
        DescriptorTable = baseAddress;
        DriverArea = DescriptorTable + (16UL * size);
        DeviceArea = (DriverArea + 6 + (2UL * size) + 3) & ~3UL;
        End = DeviceArea + 6 + (8UL * size);
        for (int i = size - 1; i >= 0; i--)
        {
            free.Push((ushort)i);
        }
    }

    public ushort Size { get; }

    public ulong DescriptorTable { get; }

    public ulong DriverArea { get; }

    public ulong DeviceArea { get; }

    public ulong End { get; }

    public ushort AvailableIndex
    {
        get => Read16(DriverArea + 2);
        set => Write16(DriverArea + 2, value);
    }

    public ushort UsedIndex => Read16(DeviceArea + 2);

    public ushort AvailableFlags
    {
        set => Write16(DriverArea, value);
    }

    public ushort UsedFlags => Read16(DeviceArea);

    public ushort UsedEvent
    {
        set => Write16(DriverArea + 4 + (2UL * Size), value);
    }

    public ushort AvailableEvent => Read16(DeviceArea + 4 + (8UL * Size));

    /// <summary>Whether a driver that added <paramref name="added"/> chains must notify, with EVENT_IDX negotiated (§2.7.10).</summary>
    public bool MustNotify(ushort added)
    {
        ushort now = AvailableIndex;
        return (ushort)(now - AvailableEvent - 1) < added;
    }

    /// <summary>Describes a chain in direct descriptors and makes it available; returns the head.</summary>
    public ushort Add(params ReadOnlySpan<DriverBuffer> buffers)
    {
        var indices = new ushort[buffers.Length];
        for (int i = 0; i < indices.Length; i++)
        {
            indices[i] = free.Pop();
        }
        for (int i = 0; i < indices.Length; i++)
        {
            bool last = i == indices.Length - 1;
            ushort flags = (ushort)((buffers[i].DeviceWrites ? Descriptor.FlagWrite : 0) | (last ? 0 : Descriptor.FlagNext));
            WriteDescriptor(indices[i], new Descriptor(buffers[i].Address, buffers[i].LengthBytes, flags, last ? (ushort)0 : indices[i + 1]));
        }
        chains[indices[0]] = indices;
        Publish(indices[0]);
        return indices[0];
    }

    /// <summary>The same through an indirect table at <paramref name="table"/>.</summary>
    public ushort AddIndirect(ulong table, params ReadOnlySpan<DriverBuffer> buffers)
    {
        for (int i = 0; i < buffers.Length; i++)
        {
            bool last = i == buffers.Length - 1;
            ushort flags = (ushort)((buffers[i].DeviceWrites ? Descriptor.FlagWrite : 0) | (last ? 0 : Descriptor.FlagNext));
            new Descriptor(buffers[i].Address, buffers[i].LengthBytes, flags, last ? (ushort)0 : (ushort)(i + 1))
                .Encode(ram.Span(table + (16UL * (ulong)i), 16));
        }
        ushort head = free.Pop();
        WriteDescriptor(head, new Descriptor(table, (uint)(16 * buffers.Length), Descriptor.FlagIndirect, 0));
        chains[head] = [head];
        Publish(head);
        return head;
    }

    public void WriteDescriptor(ushort index, Descriptor descriptor) =>
        descriptor.Encode(ram.Span(DescriptorTable + (16UL * index), 16));

    /// <summary>Puts a head on the available ring as it is, valid or not.</summary>
    public void Publish(ushort head)
    {
        ushort index = AvailableIndex;
        Write16(DriverArea + 4 + (2UL * (ulong)(index % Size)), head);
        AvailableIndex = (ushort)(index + 1);
    }

    /// <summary>Takes everything new from the used ring and frees its descriptors.</summary>
    public IReadOnlyList<UsedElement> TakeUsed()
    {
        var taken = new List<UsedElement>();
        while (nextUsed != UsedIndex)
        {
            ReadOnlySpan<byte> raw = ram.Span(DeviceArea + 4 + (8UL * (ulong)(nextUsed % Size)), 8);
            var element = new UsedElement(BinaryPrimitives.ReadUInt32LittleEndian(raw), BinaryPrimitives.ReadUInt32LittleEndian(raw[4..]));
            taken.Add(element);
            nextUsed++;
            if (chains.Remove((ushort)element.Head, out ushort[]? indices))
            {
                foreach (ushort index in indices)
                {
                    free.Push(index);
                }
            }
        }
        return taken;
    }

    private ushort Read16(ulong address) => BinaryPrimitives.ReadUInt16LittleEndian(ram.Span(address, 2));

    private void Write16(ulong address, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(ram.Span(address, 2), value);
}
