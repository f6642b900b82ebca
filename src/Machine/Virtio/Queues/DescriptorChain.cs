using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Virtio.Queues;

/// <summary>
/// A validated descriptor chain: device-readable segments, then device-writable ones, every byte inside RAM. The instance is owned
/// and reused by its <see cref="Virtqueue"/>: it is valid until the next pop. Segments may overlap one another; reads see memory as it
/// is when they are made, and writes are made in chain order, so that a later segment wins.
/// </summary>
public sealed class DescriptorChain
{
    private readonly List<GuestSegment> readable = [];
    private readonly List<GuestSegment> writable = [];

    /// <summary>Index of the first descriptor: what the used ring names.</summary>
    public ushort Head { get; private set; }

    /// <summary>Device-readable segments in order.</summary>
    public IReadOnlyList<GuestSegment> Readable => readable;

    /// <summary>Device-writable segments in order.</summary>
    public IReadOnlyList<GuestSegment> Writable => writable;

    /// <summary>Sum of the readable segments, at most 2^32.</summary>
    public ulong ReadableBytes { get; private set; }

    /// <summary>Sum of the writable segments, at most 2^32.</summary>
    public ulong WritableBytes { get; private set; }

    internal void Begin(ushort head)
    {
        Head = head;
        readable.Clear();
        writable.Clear();
        ReadableBytes = 0;
        WritableBytes = 0;
    }

    internal void Append(GuestSegment segment, bool isWritable)
    {
        if (isWritable)
        {
            writable.Add(segment);
            WritableBytes += segment.LengthBytes;
        }
        else
        {
            readable.Add(segment);
            ReadableBytes += segment.LengthBytes;
        }
    }

    /// <summary>
    /// Copies readable bytes, as if the segments were one buffer (virtio 1.2 §2.7.4: no assumption about how a message is cut),
    /// starting at <paramref name="offset"/>. Returns the number copied: fewer than asked for only at the chain's end.
    /// </summary>
    public int Read(IGuestPhysicalMemory memory, ulong offset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(memory);
        int done = 0;
        foreach (GuestSegment segment in readable)
        {
            if (done == destination.Length)
            {
                break;
            }
            if (offset >= segment.LengthBytes)
            {
                offset -= segment.LengthBytes;
                continue;
            }
            int length = (int)Math.Min(segment.LengthBytes - offset, (ulong)(destination.Length - done));
            if (!memory.TryRead(segment.Address + offset, destination.Slice(done, length)))
            {
                throw new InvalidOperationException("A validated segment is not RAM: the memory's layout changed under the chain.");
            }
            done += length;
            offset = 0;
        }
        return done;
    }

    /// <summary>Writes at <paramref name="offset"/> of the writable segments taken as one buffer; see <see cref="Write(IGuestPhysicalMemory, IReadOnlyList{GuestSegment}, ulong, ReadOnlySpan{byte})"/>.</summary>
    public int Write(IGuestPhysicalMemory memory, ulong offset, ReadOnlySpan<byte> source) => Write(memory, writable, offset, source);

    /// <summary>
    /// Writes <paramref name="source"/> to <paramref name="segments"/> taken as one buffer, starting at <paramref name="offset"/>.
    /// Returns the number of bytes written: fewer than given only at the end of the segments.
    /// </summary>
    public static int Write(IGuestPhysicalMemory memory, IReadOnlyList<GuestSegment> segments, ulong offset, ReadOnlySpan<byte> source)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(segments);
        int done = 0;
        for (int i = 0; i < segments.Count && done < source.Length; i++)
        {
            GuestSegment segment = segments[i];
            if (offset >= segment.LengthBytes)
            {
                offset -= segment.LengthBytes;
                continue;
            }
            int length = (int)Math.Min(segment.LengthBytes - offset, (ulong)(source.Length - done));
            if (!memory.TryWrite(segment.Address + offset, source.Slice(done, length)))
            {
                throw new InvalidOperationException("A validated segment is not RAM: the memory's layout changed under the chain.");
            }
            done += length;
            offset = 0;
        }
        return done;
    }
}
