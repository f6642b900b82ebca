using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>The defaults of <c>akka.remote.ftakka-tcp</c>: <c>reference.hocon</c> beside this file.</summary>
public static class ReferenceSettings
{
    private const string Resource = "FtAkka.LogChannelActors.Remoting.reference.hocon";

    /// <summary>The whole file, read once.</summary>
    public static Config Default { get; } = Read();

    private static Config Read()
    {
        using var stream = typeof(ReferenceSettings).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The assembly lacks its resource {Resource}.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}
