using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>The defaults of FtAkka's remoting, from <c>reference.hocon</c>, where each key is explained.</summary>
public static class RemotingDefaults
{
    private const string Resource = "FtAkka.LogChannelActors.Remoting.reference.hocon";

    /// <summary>To be put under an actor system's configuration: <c>config.WithFallback(RemotingDefaults.Reference)</c>.</summary>
    public static Config Reference { get; } = Read();

    private static Config Read()
    {
        using var stream = typeof(RemotingDefaults).Assembly.GetManifestResourceStream(Resource)
            ?? throw new ConfigurationException($"The resource {Resource} is missing.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}
