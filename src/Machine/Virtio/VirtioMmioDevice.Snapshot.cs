using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio;

/// <summary>State of the transport, its queues and the model, as one section.</summary>
public sealed partial class VirtioMmioDevice
{
    private const string SectionTag = "VMIO";
    private const ushort SectionVersion = 1;

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        int section = writer.BeginSection(SectionTag, SectionVersion);
        writer.WriteUInt32(Model.DeviceId);
        writer.WriteUInt64(Model.OfferedFeatures);
        writer.WriteByte(Status);
        writer.WriteByte(interruptStatus);
        writer.WriteByte((byte)LastFault);
        writer.WriteUInt32(deviceFeaturesSelect);
        writer.WriteUInt32(driverFeaturesSelect);
        writer.WriteUInt64(driverFeatures);
        writer.WriteUInt32(queueSelect);
        writer.WriteUInt32(configurationGeneration);
        writer.WriteByte((byte)queues.Length);
        foreach (Virtqueue queue in queues)
        {
            queue.Snapshot(writer);
        }
        Model.Snapshot(writer);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        reader.BeginSection(SectionTag, SectionVersion);
        uint deviceId = reader.ReadUInt32();
        ulong offered = reader.ReadUInt64();
        if (reader.Ok && (deviceId != Model.DeviceId || offered != Model.OfferedFeatures))
        {
            return reader.Fail(SnapshotError.OtherMachine);
        }
        Status = reader.ReadByte();
        interruptStatus = reader.ReadByte();
        LastFault = (VirtqueueFault)reader.ReadByte();
        deviceFeaturesSelect = reader.ReadUInt32();
        driverFeaturesSelect = reader.ReadUInt32();
        driverFeatures = reader.ReadUInt64();
        queueSelect = reader.ReadUInt32();
        configurationGeneration = reader.ReadUInt32();
        reader.Require((Status & ~(VirtioStatus.DriverBits | VirtioStatus.DeviceNeedsReset)) == 0);
        reader.Require((interruptStatus & ~(VirtioInterrupt.UsedBuffer | VirtioInterrupt.ConfigurationChange)) == 0);
        reader.Require(LastFault <= VirtqueueFault.IllegalQueueSetup);
        reader.Require((Status & VirtioStatus.FeaturesOk) == 0 || FeaturesAgree());
        reader.Require(reader.ReadByte() == queues.Length);
        foreach (Virtqueue queue in queues)
        {
            if (queue.Restore(reader) != SnapshotError.None)
            {
                return reader.Error;
            }
        }
        Model.Restore(reader);
        SnapshotError error = reader.EndSection();
        if (error == SnapshotError.None)
        {
            line.Drive(interruptStatus != 0);
        }
        return error;
    }
}
