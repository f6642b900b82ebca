using Akka.Actor;
using Akka.Configuration;

namespace FtAkka.VmmHost.Vms;

/// <summary>The process's actor system.</summary>
internal static class HostActorSystem
{
    private const string ResourceName = "FtAkka.VmmHost.local.hocon";

    /// <summary>The configuration built into the program.</summary>
    public static Config BuiltInConfig()
    {
        using Stream stream = typeof(HostActorSystem).Assembly.GetManifestResourceStream(ResourceName)
            ?? throw new InvalidOperationException($"The program was built without {ResourceName}.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }

    /// <summary>Starts an actor system of this name.</summary>
    public static ActorSystem Start(string name) => ActorSystem.Create(name, BuiltInConfig());
}
