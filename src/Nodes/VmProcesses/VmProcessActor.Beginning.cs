using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Events;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>How a replica begins: its machine is made, its disks are opened and its owner is known to the arbiter, before anything is promised.</summary>
public sealed partial class VmProcessActor
{
    private sealed record NeverBegan(string Why);

    /// <summary>Console output from before a copy that a new backup gets.</summary>
    private const int HistoryBytesMax = 1 << 20;

    private VmProfile? profile;

    /// <summary>What cannot be made is refused before the arbiter is asked, which must know this replica as the owner before it runs.</summary>
    private void Start(VmCommand.Start start) => Begin(start.Profile, () =>
    {
        ReplicaDefinition definition = Prepare(new MachineOptions { Config = start.Profile.Machine, Kernel = start.Kernel, Initrd = start.Initrd }, offer: null);
        Claim(start.Generation);
        return definition with { ProtectOn = start.Backup, Generation = start.Generation };
    });

    private void TakeCopy(VmCommand.TakeCopy copy) => Begin(copy.Profile, () =>
    {
        ReplicaDefinition definition = Prepare(new MachineOptions { Config = copy.Profile.Machine, Kernel = default }, copy.Offer);
        try
        {
            ImmutableArray<DeviceDefinition> ownDisks = settings.Devices.OpenOwnDisks(copy.Profile, copy.Offer.Generation);
            return definition with { OwnDisks = ownDisks };
        }
        catch (IOException refused)
        {
            throw new NodeRefusedException($"{settings.Name} cannot take its copy of a disk: {refused.Message}", refused);
        }
    });

    private void Begin(VmProfile given, Func<ReplicaDefinition> define)
    {
        profile = given;
        try
        {
            ReplicaDefinition definition = define();
            endpoint = new ReplicaEndpoint(Context.System, vm, Received);
            replicaActor = Context.ActorOf(ReplicaActor.Props(definition), "replica");
        }
        // Whatever it is that the host does not have for it, this VM is not made, and the others go on.
        catch (Exception cannot) when (cannot is not OutOfMemoryException)
        {
            CannotBegin(cannot.Message);
        }
    }

    private void CannotBegin(string why)
    {
        machine.Release();
        end = new ReplicaEnd(null, claimed, why);
        if (claimed > 0)
        {
            NoteEnd(claimed);
        }
        agent.Tell(new VmReport.CannotBegin(why));
    }

    /// <summary>The replica's actor could not even be made.</summary>
    private void OnNeverBegan(NeverBegan message)
    {
        if (replica is null && end is null)
        {
            CannotBegin($"{vm} could not begin: {message.Why}");
        }
    }

    /// <summary>Makes the machine of a replica: nothing is promised before there is one.</summary>
    /// <exception cref="NodeRefusedException">It cannot be made here.</exception>
    private ReplicaDefinition Prepare(MachineOptions options, CloneOffer? offer)
    {
        ReplicaDefinition definition = settings.Adapt(Define(options, offer));
        try
        {
            machine.Make(definition.Machine);
        }
        catch (Exception cannot) when (cannot is not NodeRefusedException)
        {
            throw new NodeRefusedException($"The machine of {vm} cannot be made on {settings.Name}: {cannot.Message}", cannot);
        }
        return definition with { Machine = definition.Machine with { CreateMachine = _ => machine.Take() } };
    }

    /// <exception cref="NodeRefusedException">The arbiter has not granted the VM.</exception>
    private void Claim(ulong generation)
    {
        OwnershipVerdict verdict;
        try
        {
            verdict = settings.Arbiter.ClaimNow(new OwnershipClaim(Identity, generation));
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            throw CannotReadArbiter(failed);
        }
        if (verdict != OwnershipVerdict.Owned)
        {
            throw new NodeRefusedException($"The arbiter in {settings.Arbiter.Place} did not grant {vm} to this node: {verdict}.");
        }
        claimed = generation;
    }

    private NodeRefusedException CannotReadArbiter(Exception failed) =>
        new($"{settings.Name} cannot read the arbiter's records of {vm} in {settings.Arbiter.Place} now: {failed.Message}", failed);

    /// <summary>The new backup's process is there, and answers by itself; or it was refused, and the replica is told in its stead.</summary>
    private void OnJudged(VmCommand.OfferJudged judged)
    {
        if (View is null || replica!.Link is not { } link || link.Node != judged.Node || link.Session != new ChannelSession(judged.Answer.Generation, judged.Answer.Attempt))
        {
            return;
        }
        if (judged.Answer.Refusal.Length > 0)
        {
            replica.Received(judged.Answer);
        }
        else if (VmAddress.TryRead(judged.Address, out VmAddress? backup))
        {
            port!.Know(judged.Node, backup);
        }
    }

    /// <summary>Called on the wire's threads.</summary>
    private void Received(IChannelMessage message, IActorRef sender)
    {
        if (Volatile.Read(ref replica) is { } taker && (taker.PeerNode is not { } peer || senders.IsFrom(sender, peer)))
        {
            taker.Received(message);
        }
    }

    private ReplicaDefinition Define(MachineOptions options, CloneOffer? offer)
    {
        IScheduler scheduler = Context.System.Scheduler;
        VmProfile named = profile!;
        port = new VmPort(Context.System, settings, vm, self, (node, copy) => agent.Tell(new VmReport.Offers(node, copy), self));
        if (offer is not null)
        {
            port.Know(offer.Node, VmAddress.TryRead(offer.Address, out VmAddress? primary) ? primary
                : throw new NodeRefusedException($"The offer of {offer.Node} does not say where its process is: '{PeerText.OneLine(offer.Address)}'."));
        }
        return new ReplicaDefinition
        {
            Shell = new ReplicaShellOptions
            {
                Setup = new ReplicaSetup
                {
                    Id = Identity,
                    Protection = settings.Protection with { Disks = named.ProtectedDisks },
                    Profile = named.Write(),
                    CloneLimits = settings.CloneLimits,
                    EvidenceLogBytes = settings.EvidenceLogBytes,
                },
                Port = port,
                Arbiter = settings.Arbiter,
                Clock = () => scheduler.HighResMonotonicClock,
                ConsoleHistory = () => console.Tail(HistoryBytesMax),
                ConsoleHistoryReceived = (offset, bytes) => console.Prepend(offset, bytes.AsSpan()),
                KeepEvidence = settings.KeepEvidence,
                Replayed = Show,
            },
            Machine = options,
            Offer = offer,
            DigestInterval = settings.DigestInterval,
            OpenDevices = handle => OpenDevices(handle, isOffered: offer is not null),
            Created = handle =>
            {
                Volatile.Write(ref replica, handle);
                handle.ViewChanged = () => self.Tell(new ViewMoved());
                self.Tell(new Made(handle));
            },
            Synced = () => settings.Devices.OwnDisksComplete(named, offer!.Generation),
            Dropped = what => self.Tell(new VmReport.Dropped(what.Cause, what.Peer)),
            Ended = ended =>
            {
                machine.Release();
                self.Tell(new ReplicaEnded(ended));
            },
        };
    }

    /// <summary>Called on the replica's thread.</summary>
    private ImmutableArray<DeviceDefinition> OpenDevices(ReplicaHandle handle, bool isOffered)
    {
        if (isOffered)
        {
            settings.Devices.Admit(profile!);
        }
        var fence = new Fence(() => handle.MayAct);
        handle.FenceMoved = fence.Moved;
        return settings.Devices.Open(profile!, handle.View.Status.Generation, fence, console);
    }

    /// <summary>Called on the replica's thread.</summary>
    private void Show(IReadOnlyList<MachineEffect> outputs)
    {
        foreach (ConsoleOutput output in outputs.OfType<ConsoleOutput>().Where(output => output.Console == ConsoleKind.Serial))
        {
            console.Append(output.StreamOffset, output.Bytes.AsSpan());
        }
    }
}
