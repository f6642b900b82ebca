using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Block;

/// <summary>State of the block device: the requests in flight with their write data and where their answers go.</summary>
public sealed partial class VirtioBlkDevice
{
    private const string SectionTag = "VBLK";
    private const ushort SectionVersion = 1;
    private const int SegmentsPerRequestMax = 1024;

    /// <inheritdoc/>
    /// <remarks>A request that the driver has forgotten is one of <see cref="NoQueue"/>, without segments.</remarks>
    public override void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteUInt64(CapacitySectors);
        writer.WriteUInt64(nextId);
        writer.WriteUInt32(stalledQueues);
        writer.WriteUInt32((uint)pending.Count);
        foreach (Pending entry in pending.Values)
        {
            writer.WriteUInt64(entry.Request.Id);
            writer.WriteByte((byte)entry.Request.Kind);
            writer.WriteUInt64(entry.Request.Sector);
            writer.WriteUInt64(entry.Request.LengthBytes);
            writer.WriteBoolean(entry.Request.MayUnmap);
            writer.WriteBytes(entry.Request.Data.AsSpan());
            writer.WriteByte((byte)entry.Queue);
            writer.WriteUInt16(entry.Head);
            writer.WriteUInt16((ushort)entry.Destination.Length);
            foreach (GuestSegment segment in entry.Destination)
            {
                writer.WriteUInt64(segment.Address);
                writer.WriteUInt32(segment.LengthBytes);
            }
        }
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public override SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        CapacitySectors = reader.ReadUInt64();
        nextId = reader.ReadUInt64();
        stalledQueues = reader.ReadUInt32();
        reader.Require(stalledQueues >> options.QueueCount == 0);
        pending.Clear();
        inFlightBytes = 0;
        uint count = reader.ReadUInt32();
        reader.Require(count <= (uint)options.RequestsInFlightMax);
        for (uint i = 0; i < count && reader.Ok; i++)
        {
            RestorePending(reader);
        }
        BuildConfiguration();
        return reader.EndSection();
    }

    private void RestorePending(StateReader reader)
    {
        ulong id = reader.ReadUInt64();
        var kind = (DiskRequestKind)reader.ReadByte();
        ulong sector = reader.ReadUInt64();
        ulong lengthBytes = reader.ReadUInt64();
        bool mayUnmap = reader.ReadBoolean();
        byte[] data = reader.ReadBytes((int)options.RequestBytesMax);
        byte queue = reader.ReadByte();
        ushort head = reader.ReadUInt16();
        ushort segments = reader.ReadUInt16();
        reader.Require(id < nextId && !pending.ContainsKey(id));
        reader.Require(kind <= DiskRequestKind.WriteZeroes && (queue < options.QueueCount || queue == NoQueue));
        // Not checked against the capacity: the medium may have shrunk while the request was in flight.
        reader.Require(lengthBytes % BlockProtocol.SectorBytes == 0 && sector <= long.MaxValue / BlockProtocol.SectorBytes);
        reader.Require(kind is not (DiskRequestKind.Read or DiskRequestKind.Write) || lengthBytes <= options.RequestBytesMax);
        reader.Require(kind == DiskRequestKind.Write ? (ulong)data.Length == lengthBytes : data.Length == 0);
        reader.Require(queue == NoQueue ? segments == 0 : segments is > 0 and <= SegmentsPerRequestMax);
        ImmutableArray<GuestSegment>.Builder destination = ImmutableArray.CreateBuilder<GuestSegment>();
        for (int i = 0; i < segments && reader.Ok; i++)
        {
            var segment = new GuestSegment(reader.ReadUInt64(), reader.ReadUInt32());
            reader.Require(segment.LengthBytes > 0 && GuestSegment.IsRam(Memory, segment.Address, segment.LengthBytes));
            destination.Add(segment);
        }
        if (!reader.Ok)
        {
            return;
        }
        var request = new DiskRequest(id, kind, sector, lengthBytes, ImmutableCollectionsMarshal.AsImmutableArray(data), mayUnmap);
        var entry = new Pending(queue, head, request, destination.ToImmutable());
        pending.Add(id, entry);
        inFlightBytes += entry.BounceBytes;
    }
}
