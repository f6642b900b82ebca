using Akka.Actor;
using Akka.Configuration;

namespace FtAkka.VmmHost.Vms;

/// <summary>The process's actor system.</summary>
internal static class HostActorSystem
{
    /// <summary>A run on its own needs no peer and handles signals itself.</summary>
    private const string Alone = """
        akka.actor.provider = local
        akka.coordinated-shutdown.run-by-clr-shutdown-hook = off
        """;

    private const string ResourceName = "FtAkka.VmmHost.akka.hocon";

    /// <summary>The configuration built into the program.</summary>
    public static Config BuiltInConfig()
    {
        using Stream stream = typeof(HostActorSystem).Assembly.GetManifestResourceStream(ResourceName)
            ?? throw new InvalidOperationException($"The program was built without {ResourceName}.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }

    /// <summary>Starts an actor system of this name, which no other process can reach.</summary>
    public static ActorSystem Start(string name) =>
        ActorSystem.Create(name, ConfigurationFactory.ParseString(Alone).WithFallback(BuiltInConfig()));
}
