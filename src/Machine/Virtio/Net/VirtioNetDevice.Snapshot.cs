using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>State of the network device: link, held frames, counters.</summary>
public sealed partial class VirtioNetDevice
{
    private const string SectionTag = "VNET";
    private const ushort SectionVersion = 1;

    /// <inheritdoc/>
    public override void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteFixed(configuration);
        writer.WriteBoolean(starved);
        writer.WriteUInt64(TransmittedFrames);
        writer.WriteUInt64(TransmitDrops);
        writer.WriteUInt64(ReceivedFrames);
        writer.WriteUInt64(ReceiveDrops);
        writer.WriteUInt32((uint)held.Count);
        foreach (byte[] frame in held)
        {
            writer.WriteBytes(frame);
        }
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public override SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        reader.ReadFixed(configuration);
        starved = reader.ReadBoolean();
        TransmittedFrames = reader.ReadUInt64();
        TransmitDrops = reader.ReadUInt64();
        ReceivedFrames = reader.ReadUInt64();
        ReceiveDrops = reader.ReadUInt64();
        held.Clear();
        heldBytes = 0;
        uint count = reader.ReadUInt32();
        reader.Require(count <= (uint)options.HeldFramesMax);
        for (uint i = 0; i < count && reader.Ok; i++)
        {
            byte[] frame = reader.ReadBytes(options.FrameBytesMax);
            reader.Require(frame.Length >= NetProtocol.EthernetHeaderBytes);
            heldBytes += frame.Length;
            held.Enqueue(frame);
        }
        reader.Require(heldBytes <= options.HeldBytesMax);
        return reader.EndSection();
    }
}
