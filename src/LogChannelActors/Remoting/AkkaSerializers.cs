namespace FtAkka.LogChannelActors.Remoting;

/// <summary>Identifiers of Akka's serializers, and manifests, that the guard must know (Akka.Remote 1.5.74).</summary>
internal static class AkkaSerializers
{
    /// <summary>Carries an <c>ActorSelectionMessage</c>, which wraps another message.</summary>
    public const int Selections = 6;

    /// <summary>Carries small messages of Akka's own: Identify, PoisonPill, routers, failures with exceptions and more.</summary>
    public const int Miscellaneous = 16;

    /// <summary>Carries Watch, Terminate, Suspend and all other system messages.</summary>
    public const int SystemMessages = 22;
}
