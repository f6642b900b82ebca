using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Virtio.Queues;

/// <summary>State of one queue, as one section. The rings themselves are guest memory.</summary>
public sealed partial class Virtqueue : ISnapshotable
{
    private const string SectionTag = "VQUE";
    private const ushort SectionVersion = 1;

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteUInt16(SizeMax);
        writer.WriteUInt32(Size);
        writer.WriteBoolean(Ready);
        writer.WriteUInt64(DescriptorTable);
        writer.WriteUInt64(DriverArea);
        writer.WriteUInt64(DeviceArea);
        writer.WriteBoolean(EventIndex);
        writer.WriteBoolean(IndirectDescriptors);
        writer.WriteByte((byte)Fault);
        writer.WriteUInt16(nextAvailable);
        writer.WriteUInt16(nextUsed);
        writer.WriteUInt16(signalledUsed);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        ushort sizeMax = reader.ReadUInt16();
        if (reader.Ok && sizeMax != SizeMax)
        {
            return reader.Fail(SnapshotError.OtherMachine);
        }
        Size = reader.ReadUInt32();
        bool ready = reader.ReadBoolean();
        DescriptorTable = reader.ReadUInt64();
        DriverArea = reader.ReadUInt64();
        DeviceArea = reader.ReadUInt64();
        EventIndex = reader.ReadBoolean();
        IndirectDescriptors = reader.ReadBoolean();
        var fault = (VirtqueueFault)reader.ReadByte();
        ushort restoredAvailable = reader.ReadUInt16();
        ushort restoredUsed = reader.ReadUInt16();
        ushort restoredSignalled = reader.ReadUInt16();
        reader.Require(fault <= VirtqueueFault.IllegalQueueSetup);
        reader.Require(!ready || (ushort)(restoredAvailable - restoredUsed) <= Size);
        // Enabling again checks size, alignment and place against this machine's RAM.
        Ready = false;
        if (reader.Ok && ready)
        {
            reader.Require(TryEnable());
        }
        Fault = fault;
        nextAvailable = restoredAvailable;
        nextUsed = restoredUsed;
        signalledUsed = restoredSignalled;
        return reader.EndSection();
    }
}
