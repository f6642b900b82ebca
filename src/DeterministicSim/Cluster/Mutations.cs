using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Outputs leave as soon as their entries were sent: the primary takes its own word for the backup's.</summary>
internal sealed class ReleaseBeforeAck(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message)
    {
        if (message is LogAppend { Frames.Length: > 0 } append && from is not null)
        {
            from.Handle.Received(new LogAck(append.LastLsn, 0, 0, long.MinValue, append.Generation, append.Attempt, long.MinValue, Resend: false));
        }
        return base.Sending(from, message);
    }
}

/// <summary>A replica that goes live does not issue pending disk requests again.</summary>
internal sealed class SkippedReissue(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend Disk(IDiskBackend storage, SimulatedHost host) => new Forgetful(World, storage, host);

    private sealed class Forgetful(ClusterWorld world, IDiskBackend storage, SimulatedHost host) : IDiskBackend
    {
        public ulong CapacitySectors => storage.CapacitySectors;

        public bool ReadOnly => storage.ReadOnly;

        public Task<DiskOutcome> ExecuteAsync(DiskRequest request) =>
            world.Checks.WasIssuedElsewhere(host, request) ? new TaskCompletionSource<DiskOutcome>().Task : storage.ExecuteAsync(request);

        public void Dispose() => storage.Dispose();
    }
}

/// <summary>The arbiter grants what it has granted to another.</summary>
internal sealed class TwoWinners(ClusterWorld world) : Mutant(world)
{
    public override OwnershipVerdict Verdict(OwnershipVerdict verdict) => OwnershipVerdict.Owned;
}

/// <summary>One input in some hundred is not in the log that the backup gets.</summary>
internal sealed class LostEntry(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message) => message is LogAppend { Frames.Length: > 0 } append
        ? Rewrite(append, entry => IsChosen(entry) ? entry with { Payload = new InputPayload(new ClockAdvance(0)) } : entry)
        : base.Sending(from, message);

    private static bool IsChosen(LogEntry entry) => entry.Payload is InputPayload && entry.Lsn.Value % 199 == 7;
}

/// <summary>One input in some hundred is delivered an instruction late on the backup.</summary>
internal sealed class OffByOneIcount(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message)
    {
        if (message is not LogAppend { Frames.Length: > 0 } append)
        {
            return base.Sending(from, message);
        }
        // What follows at the same instruction is late with it: a log goes forward.
        ulong least = 0;
        return Rewrite(append, entry =>
        {
            least = Math.Max(least, entry.Icount + (IsChosen(entry) ? 1u : 0));
            return entry with { Icount = least };
        });
    }

    private static bool IsChosen(LogEntry entry) => entry.Payload is InputPayload && entry.Lsn.Value % 199 == 7;
}

/// <summary>What is read from the disk is in the guest's memory as soon as the disk has it, and not at the icount of its completion.</summary>
internal sealed class ForgottenBounceBuffer(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend Disk(IDiskBackend storage, SimulatedHost host) => new Direct(World, storage, host);

    private sealed class Direct(ClusterWorld world, IDiskBackend storage, SimulatedHost host) : IDiskBackend
    {
        public ulong CapacitySectors => storage.CapacitySectors;

        public bool ReadOnly => storage.ReadOnly;

        public Task<DiskOutcome> ExecuteAsync(DiskRequest request)
        {
            if (request.Kind == DiskRequestKind.Read && host.Replica?.Machine is { } machine)
            {
                machine.Memory.TryWrite(GuestLayout.BlockBuffer, world.DiskOf(host).Read(request.Sector, request.LengthBytes).AsSpan());
            }
            return storage.ExecuteAsync(request);
        }

        public void Dispose() => storage.Dispose();
    }
}

/// <summary>Devices act whenever they are told to, whether or not their replica still may.</summary>
internal sealed class IgnoredFence(ClusterWorld world) : Mutant(world)
{
    public override Fence Fence(Fence fence) => DeviceActors.Fencing.Fence.None;
}

/// <summary>The backup does not see a wrong digest. Replay has no seam to plant that at: the digest that counts as wrong is the right one.</summary>
internal sealed class IgnoredDigest(ClusterWorld world) : Mutant(world)
{
    protected override MachineDigest Wrong(MachineDigest digest) => digest;
}

/// <summary>A backup says that it could go live, whatever its host has found.</summary>
internal sealed class FalsePromise(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message) =>
        message is BackupFitness fitness ? fitness with { Refusal = "" } : base.Sending(from, message);
}

/// <summary>A backup leaves out one in sixteen of the guest's writes to its own disk, and says that it was done.</summary>
internal sealed class ForgottenOwnWrite(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend OwnDisk(IDiskBackend storage) =>
        new LazyStorage(storage, request => request.Kind == DiskRequestKind.Write && request.Id % 16 == 3 && request.Id < DiskBlocks.FirstRequestId);
}

/// <summary>A new backup says that it has written the blocks of the copy, and has not.</summary>
internal sealed class UnfinishedResync(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend OwnDisk(IDiskBackend storage) =>
        new LazyStorage(storage, request => request.Kind == DiskRequestKind.Write && request.Id >= DiskBlocks.FirstRequestId);
}

/// <summary>What a backup reads from its own disk may be what stood there before.</summary>
internal sealed class StaleOwnRead(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend OwnDisk(IDiskBackend storage) => new Stale(storage);

    private sealed class Stale(IDiskBackend storage) : IDiskBackend
    {
        public ulong CapacitySectors => storage.CapacitySectors;

        public bool ReadOnly => storage.ReadOnly;

        public async Task<DiskOutcome> ExecuteAsync(DiskRequest request)
        {
            DiskOutcome outcome = await storage.ExecuteAsync(request).ConfigureAwait(true);
            return request is { Kind: DiskRequestKind.Read, Id: < DiskBlocks.FirstRequestId } && request.Id % 16 < 4
                ? outcome with { Completion = outcome.Completion with { Data = [.. new byte[outcome.Completion.Data.Length]] } } : outcome;
        }

        public void Dispose() => storage.Dispose();
    }
}

/// <summary>Replay that is held when the primary falls silent stays so.</summary>
internal sealed class LastingHold(ClusterWorld world) : Mutant(world)
{
    public override void GoesLiveHeld(TrackedReplica replica) => replica.Replay?.Tell(new ReplayProtocol.SetPace(0), ActorRefs.NoSender);
}

/// <summary>Of a long write no more than 64 KiB reach the storage, which says that all did.</summary>
internal sealed class ShortWrite(ClusterWorld world) : Mutant(world)
{
    public override IDiskBackend Disk(IDiskBackend storage, SimulatedHost host) => new Short(World, storage, host);

    private sealed class Short(ClusterWorld world, IDiskBackend storage, SimulatedHost host) : IDiskBackend
    {
        public ulong CapacitySectors => storage.CapacitySectors;

        public bool ReadOnly => storage.ReadOnly;

        public async Task<DiskOutcome> ExecuteAsync(DiskRequest request)
        {
            if (request.Kind != DiskRequestKind.Write || request.LengthBytes <= DiskBlocks.BlockBytes)
            {
                return await storage.ExecuteAsync(request).ConfigureAwait(true);
            }
            ulong behind = request.Sector + DiskBlocks.BlockSectors;
            ImmutableArray<byte> before = world.DiskOf(host).Read(behind, request.LengthBytes - DiskBlocks.BlockBytes);
            DiskOutcome outcome = await storage.ExecuteAsync(request).ConfigureAwait(true);
            world.DiskOf(host).Write(behind, before.AsSpan());
            return outcome;
        }

        public void Dispose() => storage.Dispose();
    }
}

/// <summary>A page of a copy is not what it was.</summary>
internal sealed class DifferingCopy(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message) => message is ClonePages { Pages.Length: > 0 } pages
        ? pages with { Pages = pages.Pages.SetItem(pages.Pages.Length / 2, (byte)(pages.Pages[pages.Pages.Length / 2] ^ 1)) } : base.Sending(from, message);
}

/// <summary>The log of every other generation does not reach its backup any more, from some time on, though the nodes hear each other.</summary>
internal sealed class MuteChannel(ClusterWorld world) : Mutant(world)
{
    private static readonly TimeSpan From = TimeSpan.FromSeconds(6);

    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message) =>
        message is LogAppend { Entitled: true } append && append.Generation % 2 == 1 && World.Now > From
            ? append with { Generation = append.Generation + 1000 } : base.Sending(from, message);
}

/// <summary>A replica is told that its peer's node was started anew, now and then.</summary>
internal sealed class FalseRestart(ClusterWorld world) : Mutant(world)
{
    public override IChannelMessage Sending(TrackedReplica? from, IChannelMessage message)
    {
        if (message is LogAppend { Entitled: true, Frames.Length: > 0 } append && append.LastLsn % 997 == 7 && from?.Handle.PeerNode is { } peer)
        {
            from.Handle.Restarted(peer);
        }
        return base.Sending(from, message);
    }
}

/// <summary>A process forgets the replica that it makes of a copy, and makes another.</summary>
internal sealed class ForgottenReplica(ClusterWorld world) : Mutant(world)
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private bool _isMade;

    public override void Created(SimulatedHost host, ReplicaDefinition definition)
    {
        if (definition.Offer is not null && host.System is { } system && !_isMade)
        {
            _isMade = true;
            World.Simulation.Schedule(system, Soon, () => system.ActorOf(ReplicaActor.Props(definition)));
        }
    }
}

/// <summary>Each offer of a copy is made a dozen times.</summary>
internal sealed class EndlessOffers(ClusterWorld world) : Mutant(world)
{
    public override int CopiesOf(IChannelMessage message) => message is CloneOffer ? 12 : 1;
}

/// <summary>A primary does not stop for the lag of its backup.</summary>
internal sealed class EndlessLag(ClusterWorld world) : Mutant(world)
{
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    public override ProtectionOptions Limits(ProtectionOptions limits) => limits with { LagTarget = Never, LagResume = Never, LagProtectedMax = Never, LagStop = Never };
}

/// <summary>The monotonic clock of a host jumps ahead some time after a VM went live on it.</summary>
internal sealed class JumpingClock(ClusterWorld world) : Mutant(world)
{
    private static readonly TimeSpan Later = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Jump = TimeSpan.FromMilliseconds(100);

    public override void DevicesOpened(SimulatedHost host) => World.Simulation.Schedule(Later, () => host.Clock.Skew(Jump));
}

/// <summary>Storage that leaves out some requests.</summary>
internal sealed class LazyStorage(IDiskBackend storage, Func<DiskRequest, bool> leavesOut) : IDiskBackend
{
    public ulong CapacitySectors => storage.CapacitySectors;

    public bool ReadOnly => storage.ReadOnly;

    public Task<DiskOutcome> ExecuteAsync(DiskRequest request) => leavesOut(request)
        ? Task.FromResult(new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.Ok, []), null)) : storage.ExecuteAsync(request);

    public void Dispose() => storage.Dispose();
}
