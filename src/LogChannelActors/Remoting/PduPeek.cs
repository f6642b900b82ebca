namespace FtAkka.LogChannelActors.Remoting;

/// <summary>Looks at a message unit without decoding it. Transports choose a connection by it.</summary>
public static class PduPeek
{
    /// <summary>Whether a unit that Akka has written is one of control: a handshake, a heartbeat or a farewell.</summary>
    /// <param name="pdu">The unit; of this node, since only its first byte is looked at.</param>
    public static bool IsControl(ReadOnlySpan<byte> pdu) => !pdu.IsEmpty && pdu[0] == ProtocolUnit.InstructionTag;

    /// <summary>Finds the serializer and the manifest of the message in a unit.</summary>
    /// <param name="pdu">The unit; of any origin, since a malformed one is answered with false.</param>
    /// <param name="serializer">Identifier of the serializer.</param>
    /// <param name="manifest">The manifest's UTF-8 bytes inside <paramref name="pdu"/>.</param>
    /// <returns>False for a control unit, for acknowledgements only, and for anything malformed.</returns>
    public static bool TryMessage(ReadOnlySpan<byte> pdu, out int serializer, out ReadOnlySpan<byte> manifest)
    {
        serializer = 0;
        manifest = default;
        if (ProtocolUnit.Read(pdu, out var unit) is not null || unit.IsControl
            || MessageUnit.Read(unit.Content, out var message) is not null || !message.HasEnvelope)
        {
            return false;
        }

        serializer = message.Message.Serializer;
        manifest = message.Message.Manifest;
        return true;
    }
}
