using System.Buffers.Binary;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Console;

/// <summary>Where the console puts its effects. Implemented by the machine, which stamps them with the icount.</summary>
public interface IConsoleOutputSink
{
    /// <summary>Bytes the guest wrote. Called synchronously from inside the guest's access; the span is valid during the call.</summary>
    void Output(ReadOnlySpan<byte> bytes);
}

/// <summary>
/// The console device (virtio 1.2 §5.3) with its single port and no control queues. Output leaves at the notification; input reaches
/// guest buffers when its event is delivered, or as soon as the guest posts buffers, up to
/// <see cref="ConsoleProtocol.HeldBytesMax"/> bytes, beyond which the newest are dropped and counted.
/// </summary>
public sealed class VirtioConsoleDevice : VirtioModel
{
    private const string SectionTag = "VCON";
    private const ushort SectionVersion = 1;

    private readonly IConsoleOutputSink sink;
    private readonly byte[] configuration = new byte[ConsoleProtocol.ConfigurationBytes];
    private readonly Queue<byte> held = new();
    private byte[] transfer = new byte[4096];

    /// <summary>A console of the given size in characters whose output goes to <paramref name="sink"/>.</summary>
    public VirtioConsoleDevice(IConsoleOutputSink sink, ushort columns = 80, ushort rows = 25)
        : base(ConsoleProtocol.DeviceId, ConsoleProtocol.FeatureSize | ConsoleProtocol.FeatureEmergencyWrite,
            ConsoleProtocol.QueueSize, ConsoleProtocol.QueueSize)
    {
        ArgumentNullException.ThrowIfNull(sink);
        this.sink = sink;
        WriteSize(columns, rows);
        BinaryPrimitives.WriteUInt32LittleEndian(configuration.AsSpan(4), 1);   // max_nr_ports
    }

    /// <summary>Input bytes dropped since power-on because the guest took none.</summary>
    public ulong DroppedBytes { get; private set; }

    /// <summary>Input bytes waiting for guest buffers.</summary>
    public int HeldBytes => held.Count;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Configuration => configuration;

    /// <summary>Delivers input. Returns how many bytes were taken; the rest was dropped.</summary>
    public int Input(ReadOnlySpan<byte> bytes)
    {
        int taken = Math.Min(bytes.Length, ConsoleProtocol.HeldBytesMax - held.Count);
        for (int i = 0; i < taken; i++)
        {
            held.Enqueue(bytes[i]);
        }
        DroppedBytes += (ulong)(bytes.Length - taken);
        DeliverHeld();
        return taken;
    }

    /// <summary>The terminal changed its size (§5.3.5).</summary>
    public void Resize(ushort columns, ushort rows)
    {
        WriteSize(columns, rows);
        ConfigurationChanged();
    }

    /// <inheritdoc/>
    protected internal override void Notified(int queue)
    {
        if (queue == ConsoleProtocol.ReceiveQueue)
        {
            DeliverHeld();
            WantNotifications(queue, wanted: true);
            return;
        }
        // Not until it is empty: a driver may lay its rings so that each answer makes another buffer available.
        int room = ConsoleProtocol.BytesPerNotificationMax;
        for (uint left = Queue(queue).Size; left > 0 && TryPop(queue, out DescriptorChain chain); left--)
        {
            if (chain.WritableBytes != 0)   // §5.3.6.1
            {
                NeedsReset(VirtqueueFault.WrongDirection);
                return;
            }
            int length = (int)Math.Min(chain.ReadableBytes, (ulong)room);
            if (length > 0)
            {
                Span<byte> bytes = Transfer(length);
                chain.Read(Memory, 0, bytes);
                sink.Output(bytes);
                room -= length;
            }
            Push(queue, chain.Head, 0);
        }
        WantNotifications(queue, wanted: true);
        SignalUsed(queue);
    }

    /// <inheritdoc/>
    protected internal override void Reset()
    {
        // Typed-ahead input outlives the driver, as it does on a serial line with a buffer.
    }

    /// <inheritdoc/>
    protected internal override void WriteConfiguration(uint offset, int size, ulong value)
    {
        // §5.3.6.1: a character may be written before the driver is up, in the lowest byte of emerg_wr.
        if (offset == ConsoleProtocol.EmergencyWriteOffset)
        {
            sink.Output([(byte)value]);
        }
    }

    private void DeliverHeld()
    {
        while (held.Count > 0 && TryPop(ConsoleProtocol.ReceiveQueue, out DescriptorChain chain))
        {
            if (chain.ReadableBytes != 0)
            {
                NeedsReset(VirtqueueFault.WrongDirection);
                return;
            }
            Span<byte> bytes = Transfer((int)Math.Min(chain.WritableBytes, (ulong)held.Count));
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = held.Dequeue();
            }
            chain.Write(Memory, 0, bytes);
            Push(ConsoleProtocol.ReceiveQueue, chain.Head, (uint)bytes.Length);
        }
        if (held.Count > 0 && IsLive)
        {
            WantNotifications(ConsoleProtocol.ReceiveQueue, wanted: true);
        }
        SignalUsed(ConsoleProtocol.ReceiveQueue);
    }

    private Span<byte> Transfer(int length)
    {
        if (transfer.Length < length)
        {
            transfer = new byte[length];
        }
        return transfer.AsSpan(0, length);
    }

    private void WriteSize(ushort columns, ushort rows)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(configuration, columns);
        BinaryPrimitives.WriteUInt16LittleEndian(configuration.AsSpan(2), rows);
    }

    /// <inheritdoc/>
    public override void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteFixed(configuration);
        writer.WriteUInt64(DroppedBytes);
        writer.WriteBytes(held.ToArray());
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public override SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        reader.ReadFixed(configuration);
        DroppedBytes = reader.ReadUInt64();
        held.Clear();
        foreach (byte value in reader.ReadBytes(ConsoleProtocol.HeldBytesMax))
        {
            held.Enqueue(value);
        }
        return reader.EndSection();
    }
}
