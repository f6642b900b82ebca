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

    /// <summary>The settings that stand beside the program: the defaults of every process.</summary>
    public static string ConfigFile { get; } = Path.Combine(AppContext.BaseDirectory, "akka.hocon");

    /// <summary>What <see cref="ConfigFile"/> says.</summary>
    public static Config BaseConfig() => ConfigurationFactory.ParseString(File.ReadAllText(ConfigFile));

    /// <summary>Starts an actor system of this name, which no other process can reach.</summary>
    public static ActorSystem Start(string name) =>
        ActorSystem.Create(name, ConfigurationFactory.ParseString(Alone).WithFallback(BaseConfig()));
}
