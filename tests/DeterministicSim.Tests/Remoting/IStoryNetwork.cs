using Akka.Actor;
using Akka.Configuration;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>
/// What <see cref="RemotingStory"/> needs of a network: the simulated one, or sockets with a cable between them that a test can pull. Hosts are
/// named <c>a</c> and <c>b</c>; the story's systems are called <see cref="RemotingStory.SystemName"/>.
/// </summary>
public interface IStoryNetwork
{
    /// <summary>Starts a system on a host, always under the same address.</summary>
    /// <param name="host">The host.</param>
    /// <param name="config">The story's settings: guard, serializers and times of the section <c>akka.remote.ftakka-tcp</c>.</param>
    ActorSystem Start(string host, Config config);

    /// <summary>The system on a host is gone from one moment to the next; its host refuses what comes for it.</summary>
    void Kill(string host);

    /// <summary>Nothing arrives in either direction.</summary>
    void Cut();

    /// <summary>The cable is back.</summary>
    void Mend();

    /// <summary>All connections end for one host, and the other is told nothing: it learns when it sends.</summary>
    void ResetOneSide(string learns);

    /// <summary>Lets time pass until something is so. False if it is not within the time.</summary>
    bool Until(Func<bool> condition, TimeSpan limit);

    /// <summary>Lets time pass.</summary>
    void Pass(TimeSpan time);
}
