using Akka.Actor;
using FtAkka.Nodes;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Messages;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A member of a cluster that only offers copies, in the place of a node, and hears what is said to that.</summary>
internal sealed class OfferingNode : ReceiveActor
{
    private IActorRef asker = ActorRefs.Nobody;

    public OfferingNode()
    {
        Receive<Offer>(offer =>
        {
            asker = Sender;
            offer.Node.Tell(offer.What);
        });
        Receive<OfferJudged>(judged => asker.Tell(judged));
        ReceiveAny(_ => { });
    }

    /// <summary>Offer this. Answered by <see cref="OfferJudged"/>.</summary>
    private sealed record Offer(IActorRef Node, CloneOffer What);

    /// <summary>What a node answers to an offer, which is repeated; null: nothing.</summary>
    /// <param name="cluster">Has "A" as an <see cref="OfferingNode"/>.</param>
    /// <param name="to">The node.</param>
    /// <param name="offer">The offer.</param>
    /// <param name="goesOn">Asked before each try.</param>
    public static async Task<string?> OfferAsync(Cluster cluster, string to, CloneOffer offer, Func<Task<bool>> goesOn)
    {
        IActorRef node = cluster.NodeSeenFrom("A", to);
        CloneOffer addressed = offer with { Address = VmAddress.Of(cluster.SystemOf("A")).ToString() };
        while (await goesOn())
        {
            try
            {
                return (await cluster.ActorOf("A").Ask<OfferJudged>(new Offer(node, addressed), TimeSpan.FromMilliseconds(500))).Refusal;
            }
            catch (AskTimeoutException)
            {
                // Once more, as a replica does.
            }
        }
        return null;
    }
}
