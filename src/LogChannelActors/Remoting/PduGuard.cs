using System.Text;
using Akka.Actor;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Reads every protocol unit of one association before Akka does, and says which may not be handed over. Akka.Remote believes whatever origin a
/// handshake claims and whatever sender an envelope claims; the guard holds both against what the connection proved, and lets only listed
/// recipients, selections and serializers pass.
/// </summary>
/// <remarks>
/// Used by one thread at a time. A unit that passes is neither copied nor changed and nothing is allocated for it. The guard is stricter
/// than protobuf (see <see cref="ProtoReader"/>): it accepts what Akka.Remote 1.5.74 writes. After the first refusal it refuses everything.
/// </remarks>
/// <param name="rules">The rules of our actor system.</param>
/// <param name="peer">What the far end proved; null on plain TCP over loopback, where nothing is proved.</param>
/// <param name="local">Our address as the transport sees it: scheme <c>tcp</c>, system, host, port.</param>
/// <param name="dialled">The address that we dialled; null for an inbound connection.</param>
public sealed class PduGuard(GuardRules rules, PeerIdentity? peer, Address local, Address? dialled)
{
    /// <summary>Longest manifest, in bytes. Those of ours have two or three.</summary>
    public const int MaximumManifest = 256;

    private const int LongestName = 255;

    private readonly byte[] ours = AsInPaths(local);
    private byte[] theirs = [];
    private string? refusal;

    /// <summary>The far end's address, as the transport sees it, once its handshake has passed.</summary>
    public Address? Origin { get; private set; }

    /// <summary>The scheme in actors' paths for a transport's scheme: Akka's own protocol stands before it.</summary>
    public static string SchemeOfActors(string transport)
    {
        ArgumentNullException.ThrowIfNull(transport);
        return transport.StartsWith("akka.", StringComparison.Ordinal) ? transport : "akka." + transport;
    }

    /// <summary>Judges the next unit of the association.</summary>
    /// <param name="pdu">The unit as it came.</param>
    /// <returns>Null: hand it over. Otherwise the reason, one line for the log, and the association must end.</returns>
    public string? Refuse(ReadOnlySpan<byte> pdu)
    {
        if (refusal is null)
        {
            refusal = ProtocolUnit.Read(pdu, out var unit) ?? (unit.IsControl ? JudgeControl(unit.Content) : JudgeMessage(unit.Content));
        }

        return refusal;
    }

    private string? JudgeControl(ReadOnlySpan<byte> content)
    {
        if (ControlUnit.Read(content, out var unit) is { } malformed)
        {
            return malformed;
        }

        if (unit.Command == PduCommand.Associate)
        {
            return JudgeHandshake(unit);
        }

        if (unit.HasOrigin)
        {
            return "a handshake with another command";
        }

        return unit.Command switch
        {
            // A peer may leave at any time; what a farewell says is believed of its own association only.
            PduCommand.Disassociate or PduCommand.DisassociateShuttingDown or PduCommand.DisassociateQuarantined => null,
            PduCommand.Heartbeat => Origin is null ? "a heartbeat before the handshake" : null,
            _ => FormattableString.Invariant($"unknown command {(int)unit.Command}"),
        };
    }

    private string? JudgeHandshake(in ControlUnit unit)
    {
        if (Origin is not null)
        {
            return "a second handshake";
        }

        if (!IsName(unit.Scheme, "."u8) || !IsName(unit.System, "-_"u8) || !IsName(unit.Host, "-_.:[]"u8) || unit.Port is 0 or > ushort.MaxValue)
        {
            return unit.HasOrigin ? "a handshake with a malformed origin" : "a handshake without origin";
        }

        var origin = new Address(Encoding.ASCII.GetString(unit.Scheme), Encoding.ASCII.GetString(unit.System),
            Encoding.ASCII.GetString(unit.Host), (int)unit.Port);
        if (OriginRule.Judge(rules, peer, local, dialled, origin) is { } why)
        {
            return why;
        }

        theirs = AsInPaths(origin);
        Origin = origin;
        return null;
    }

    private string? JudgeMessage(ReadOnlySpan<byte> content)
    {
        if (Origin is null)
        {
            return "a message before the handshake";
        }

        if (MessageUnit.Read(content, out var unit) is { } malformed)
        {
            return malformed;
        }

        if (!unit.HasEnvelope)
        {
            return null;
        }

        // Only system messages have a number: Akka would keep whatever comes with one until the gap before it is filled.
        return unit.Sequence != MessageUnit.NoSequence ? "a system message, which no peer may send"
            : unit.Message.Manifest.Length > MaximumManifest ? "too long a manifest"
            : JudgeSender(unit) ?? JudgeRecipient(unit);
    }

    private string? JudgeSender(in MessageUnit unit) =>
        !unit.HasSender || (unit.Sender.Length <= ActorPathRule.MaximumLength && unit.Sender.StartsWith(theirs)
            && ActorPathRule.IsSender(unit.Sender[theirs.Length..]))
            ? null
            : $"sender {ActorPathRule.Printable(unit.Sender)} from {Encoding.ASCII.GetString(theirs)}";

    private string? JudgeRecipient(in MessageUnit unit)
    {
        if (!TryPath(unit.Recipient, ours, out var name))
        {
            return $"recipient {ActorPathRule.Printable(unit.Recipient)}, which is no path of an actor here";
        }

        if (name.Length == 1)
        {
            return unit.Message.Serializer == AkkaSerializers.Selections
                ? WrappedMessages.JudgeSelection(rules, unit.Message)
                : "a message to the root of all actors";
        }

        return ActorPathRule.IsRemoteDaemon(name) || !rules.TrustsRecipient(name)
            ? $"recipient {ActorPathRule.Printable(name)}, which is not in {GuardRules.Section}.trusted-recipients"
            : WrappedMessages.Judge(rules, unit.Message, wrapped: false);
    }

    private static bool TryPath(ReadOnlySpan<byte> path, ReadOnlySpan<byte> address, out ReadOnlySpan<byte> name)
    {
        name = default;
        return path.Length <= ActorPathRule.MaximumLength && path.StartsWith(address) && ActorPathRule.TryRead(path[address.Length..], out name);
    }

    private static byte[] AsInPaths(Address address) => Encoding.ASCII.GetBytes(address.WithProtocol(SchemeOfActors(address.Protocol)).ToString());

    private static bool IsName(ReadOnlySpan<byte> text, ReadOnlySpan<byte> besidesLettersAndDigits)
    {
        if (text.Length is 0 or > LongestName)
        {
            return false;
        }

        foreach (var value in text)
        {
            if (!char.IsAsciiLetterOrDigit((char)value) && !besidesLettersAndDigits.Contains(value))
            {
                return false;
            }
        }

        return true;
    }
}
