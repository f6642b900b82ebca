using FtAkka.Replication.Protection;
using MessagePack;

namespace FtAkka.Replication.Messages;

/// <summary>Fields of the messages between nodes, beside heartbeats.</summary>
public static partial class WireMessageCodec
{
    private static void WriteVmQuestion(ref MessagePackWriter writer, VmQuestion message)
    {
        writer.Write(message.NodeName);
        writer.Write(message.Vm);
    }

    private static VmQuestion? ReadVmQuestion(ref MessagePackReader reader)
    {
        string? node = ReadText(ref reader, Heartbeat.NodeNameMax), vm = ReadText(ref reader, CloneOffer.NameMax);
        return node is { Length: > 0 } && vm is { Length: > 0 } ? new VmQuestion(node, vm) : null;
    }

    private static void WriteVmAnswer(ref MessagePackWriter writer, VmAnswer message)
    {
        writer.Write(message.NodeName);
        writer.Write(message.Vm);
        writer.Write((int)message.Role);
        writer.Write(message.Generation);
    }

    private static VmAnswer? ReadVmAnswer(ref MessagePackReader reader)
    {
        string? node = ReadText(ref reader, Heartbeat.NodeNameMax), vm = ReadText(ref reader, CloneOffer.NameMax);
        var role = (ReplicaRole)reader.ReadInt32();
        ulong generation = reader.ReadUInt64();
        return node is { Length: > 0 } && vm is { Length: > 0 } && Enum.IsDefined(role) ? new VmAnswer(node, vm, role, generation) : null;
    }

    private static void WriteOfferJudged(ref MessagePackWriter writer, OfferJudged message)
    {
        writer.Write(message.NodeName);
        writer.Write(message.Vm);
        writer.Write(message.Generation);
        writer.Write(message.Attempt);
        writer.Write(message.Address);
        writer.Write(message.Refusal);
    }

    private static OfferJudged? ReadOfferJudged(ref MessagePackReader reader)
    {
        string? node = ReadText(ref reader, Heartbeat.NodeNameMax), vm = ReadText(ref reader, CloneOffer.NameMax);
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64();
        string? address = ReadText(ref reader, CloneOffer.AddressMax), refusal = ReadText(ref reader, ChannelClosed.TextMax);
        return node is { Length: > 0 } && vm is { Length: > 0 } && address is not null && refusal is not null && (address.Length == 0) == (refusal.Length > 0)
            ? new OfferJudged(node, vm, generation, attempt, address, refusal) : null;
    }

    private static void WriteSettingsTold(ref MessagePackWriter writer, SettingsTold message)
    {
        writer.Write(message.NodeName);
        writer.Write(message.Settings);
    }

    private static SettingsTold? ReadSettingsTold(ref MessagePackReader reader)
    {
        string? node = ReadText(ref reader, Heartbeat.NodeNameMax), settings = ReadText(ref reader, SettingsTold.SettingsMax);
        return node is { Length: > 0 } && settings is not null ? new SettingsTold(node, settings) : null;
    }
}
