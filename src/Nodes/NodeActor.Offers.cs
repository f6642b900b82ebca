using Akka.Actor;
using Akka.Event;
using FtAkka.Cpu.Memory;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>Copies that other nodes offer: taken, or refused with the reason. Whatever an offer says, it harms no VM of this node.</summary>
public sealed partial class NodeActor
{
    private sealed record OfferProved(CloneOffer Offer, VmProfile Profile, string? Refusal);

    /// <summary>Offers for which it is being proved that their VM could go live here.</summary>
    private readonly SortedDictionary<string, CloneOffer> offered = new(StringComparer.Ordinal);

    private void Take(CloneOffer offer)
    {
        if (!VmProfile.IsName(offer.Vm))
        {
            // There is no such VM to answer to.
            log.Warning("{0} offers a copy of a VM with a name that no VM may have: {1}", PeerText.OneLine(offer.Node), PeerText.OneLine(offer.Vm));
            return;
        }
        Judge(offer, Consider);
    }

    private void Judge(CloneOffer offer, Action<CloneOffer> judge)
    {
        try
        {
            judge(offer);
        }
        catch (NodeRefusedException refused)
        {
            Refuse(offer, refused.Message);
        }
        catch (Exception mistake) when (mistake is not OutOfMemoryException)
        {
            log.Error(mistake, "{0}: the offer of a copy by {1} met a mistake of this node", offer.Vm, offer.Node);
            Refuse(offer, $"{settings.Name} failed at the offer: {mistake.Message}");
        }
    }

    private static ChannelSession SessionOf(CloneOffer offer) => new(offer.Generation, offer.Attempt);

    /// <summary>Another node offers a copy of a VM. It may come again while it is being judged.</summary>
    private void Consider(CloneOffer offer)
    {
        if (IsPresent(offer) || (offered.TryGetValue(offer.Vm, out CloneOffer? same) && SessionOf(same) == SessionOf(offer)))
        {
            return;
        }
        VmProfile profile = Check(offer);
        Admit(profile);
        offered[offer.Vm] = offer;
        settings.Devices.ProveBackup(profile, refusal => self.Tell(new OfferProved(offer, profile, refusal)));
    }

    private void OnOfferProved(OfferProved proved)
    {
        if (offered.GetValueOrDefault(proved.Offer.Vm) != proved.Offer)
        {
            return;
        }
        offered.Remove(proved.Offer.Vm);
        Judge(proved.Offer, offer =>
        {
            if (proved.Refusal is { } refusal)
            {
                throw new NodeRefusedException($"{settings.Name} could not go live with {offer.Vm}: {refusal}");
            }
            Accept(offer, proved.Profile);
        });
    }

    /// <exception cref="NodeRefusedException">There is another replica of the VM here.</exception>
    private bool IsPresent(CloneOffer offer)
    {
        if (!entries.TryGetValue(offer.Vm, out NodeEntry? present) || present.End is not null)
        {
            return false;
        }
        if (present.Session != SessionOf(offer))
        {
            throw new NodeRefusedException($"{settings.Name} has a replica of {offer.Vm} already.");
        }
        if (present.HasBegun)
        {
            present.Process.Tell(new VmCommand.OfferedAgain(offer));
            Accepted(offer, present);
        }
        return true;
    }

    private void Accept(CloneOffer offer, VmProfile profile)
    {
        if (IsPresent(offer))
        {
            return;
        }
        // Time has passed since it was judged.
        Check(offer);
        log.Info("{0}: takes a copy from {1}, generation {2}", offer.Vm, offer.Node, offer.Generation);
        Begin(profile, SessionOf(offer), generation: 0, wantsBackup: true, new VmCommand.TakeCopy(profile, offer), refusal =>
        {
            if (refusal is not null)
            {
                Refuse(offer, refusal);
            }
            else if (entries.TryGetValue(offer.Vm, out NodeEntry? begun))
            {
                Accepted(offer, begun);
            }
        });
    }

    private void Admit(VmProfile profile)
    {
        try
        {
            settings.Devices.Admit(profile);
        }
        catch (IOException refused)
        {
            throw new NodeRefusedException($"{settings.Name} does not open for {profile.Name} what it names: {refused.Message}", refused);
        }
    }

    /// <summary>The profile of the VM that is offered.</summary>
    /// <exception cref="NodeRefusedException">The offer is not taken.</exception>
    private VmProfile Check(CloneOffer offer)
    {
        RefuseWhileLeaving();
        if (starting.ContainsKey(offer.Vm))
        {
            throw new NodeRefusedException($"{settings.Name} is about to start {offer.Vm}.");
        }
        if (!settings.Peers.ContainsKey(offer.Node))
        {
            throw new NodeRefusedException($"{settings.Name} does not know the node {offer.Node}: add it to ftakka.node.peers of {settings.Name}.");
        }
        if (offer.LogVersion != LogFrame.Version)
        {
            throw new NodeRefusedException(
                $"{settings.Name} speaks version {LogFrame.Version} of the log, {offer.Node} version {offer.LogVersion}: run the same version of FtAkka on both.");
        }
        VmProfile profile = VmProfile.TryRead(offer.Profile, out string refusal) ?? throw new NodeRefusedException(refusal);
        if (profile.Name != offer.Vm || offer.PageBytes != GuestMemory.PageSizeBytes || !profile.MayHavePages(offer.PageCount))
        {
            throw new NodeRefusedException("The offer contradicts its own profile.");
        }
        OwnershipRecord? owner = NewestRecord(offer.Vm);
        return owner is not null && owner.Generation == offer.Generation && owner.Node == offer.Node
            ? profile
            : throw new NodeRefusedException(
                $"By the arbiter in {arbiter.Place}, {offer.Node} does not own generation {offer.Generation} of {offer.Vm}: both nodes must mount the same folder.");
    }

    private void Refuse(CloneOffer offer, string why)
    {
        // What it quotes came from the other node.
        why = PeerText.OneLine(why, ChannelClosed.TextMax);
        log.Warning("{0}: refused the copy that {1} offers: {2}", offer.Vm, PeerText.OneLine(offer.Node), why);
        Judged(offer, "", why);
    }

    private void Accepted(CloneOffer offer, NodeEntry backup) => Judged(offer, backup.Address!, "");

    private void Judged(CloneOffer offer, string address, string refusal)
    {
        if (peers.TryGetValue(offer.Node, out IActorRef? peer))
        {
            peer.Tell(new OfferJudged(settings.Name, offer.Vm, offer.Generation, offer.Attempt, address, refusal));
        }
    }

    /// <summary>A node has judged the offer of a copy of a VM that is live here.</summary>
    private void Hear(OfferJudged judged)
    {
        if (entries.TryGetValue(judged.Vm, out NodeEntry? entry) && entry.End is null)
        {
            entry.Process.Tell(new VmCommand.OfferJudged(judged.NodeName, new CloneAnswer(judged.Generation, judged.Attempt, judged.Refusal), judged.Address));
        }
    }
}
