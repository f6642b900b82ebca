using System.Collections.Frozen;
using System.Globalization;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>The rules of one actor system for what peers may say, read from <c>akka.remote.ftakka-tcp</c>. See <c>reference.hocon</c>.</summary>
public sealed class GuardRules
{
    /// <summary>Where the settings stand.</summary>
    public const string Section = "akka.remote.ftakka-tcp";

    // Newtonsoft's JSON, Hyperion, Google.Protobuf by type name, deployment of actors, system messages.
    private static readonly FrozenSet<int> NeverTrusted = new[] { 1, -5, 2, 3, AkkaSerializers.SystemMessages }.ToFrozenSet();

    private readonly FrozenDictionary<(string Host, int Port), string> owners;
    private readonly PathPatterns recipients;
    private readonly PathPatterns selections;
    private readonly int[] serializers;

    private GuardRules(FrozenDictionary<(string Host, int Port), string> owners, PathPatterns recipients, PathPatterns selections, int[] serializers)
    {
        this.owners = owners;
        this.recipients = recipients;
        this.selections = selections;
        this.serializers = serializers;
    }

    /// <summary>Whether a table says which node owns which address.</summary>
    internal bool HasOwners => owners.Count > 0;

    /// <summary>Reads the rules.</summary>
    /// <param name="section">The section <c>akka.remote.ftakka-tcp</c>; keys that it lacks have the defaults.</param>
    /// <exception cref="ConfigurationException">A value makes no sense; the message names the key.</exception>
    public static GuardRules Read(Config section)
    {
        ArgumentNullException.ThrowIfNull(section);
        var settings = section.WithFallback(RemotingDefaults.Reference.GetConfig(Section));
        var serializers = settings.GetStringList("trusted-serializers").Select(Serializer).Distinct().ToArray();
        return new GuardRules(
            Owners(settings.GetValue("nodes")),
            new PathPatterns(settings.GetStringList("trusted-recipients"), $"{Section}.trusted-recipients"),
            new PathPatterns(settings.GetStringList("trusted-selections"), $"{Section}.trusted-selections"),
            serializers);
    }

    /// <summary>The node that owns an address, or null.</summary>
    internal string? OwnerOf(string host, int port) => owners.GetValueOrDefault((Key(host), port));

    internal bool TrustsRecipient(ReadOnlySpan<byte> path) => recipients.Contains(path);

    internal bool TrustsSelection(ReadOnlySpan<byte> path) => selections.Contains(path);

    internal bool TrustsSerializer(int id) => serializers.AsSpan().Contains(id);

    private static string Key(string host) => host.ToUpperInvariant();

    private static int Serializer(string text)
    {
        const string key = $"{Section}.trusted-serializers";
        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
        {
            throw new ConfigurationException($"{key} has '{text}'; it takes identifiers of serializers, which are numbers.");
        }

        return NeverTrusted.Contains(id) ? throw new ConfigurationException(
                $"{key} has {id}, which takes type names from the wire or carries system messages; no peer may send those.")
            : id == AkkaSerializers.Selections ? throw new ConfigurationException(
                $"{key} has {id}, which carries selections; name the actors in {Section}.trusted-selections instead.")
            : id;
    }

    private static FrozenDictionary<(string Host, int Port), string> Owners(Akka.Configuration.Hocon.HoconValue? nodes)
    {
        var owners = new Dictionary<(string Host, int Port), string>();
        foreach (var (node, value) in nodes?.GetObject()?.Items ?? [])
        {
            if (value.IsObject())
            {
                throw new ConfigurationException($"{Section}.nodes.{node} has parts; a name with dots in it needs quotation marks.");
            }

            IEnumerable<string> addresses = value.IsArray() ? value.GetStringList() : [value.GetString()];
            foreach (var address in addresses)
            {
                foreach (var (host, port) in NodeAddresses.Read(node, address))
                {
                    if (!owners.TryAdd((Key(host), port), node) && owners[(Key(host), port)] != node)
                    {
                        throw new ConfigurationException(
                            $"{Section}.nodes gives {host}:{port} to {owners[(Key(host), port)]} and to {node}.");
                    }
                }
            }
        }

        return owners.ToFrozenDictionary();
    }
}
