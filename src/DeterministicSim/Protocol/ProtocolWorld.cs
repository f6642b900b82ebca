using System.Buffers.Binary;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>
/// What the guest's outputs meet: a console, a wire, a shared disk, and the arbiter's storage. Checks at every action that it is one a
/// single, failure-free machine could have made.
/// </summary>
internal sealed class ProtocolWorld(ProtocolMutation mutation)
{
    /// <summary>Content of each output that left, by number less one; null where none left.</summary>
    private readonly List<ulong?> _performed = [];
    private readonly Dictionary<ulong, OwnershipRecord> _records = [];
    private readonly (ulong Id, ulong Generation, ulong Data)[] _disk = new (ulong, ulong, ulong)[ProtocolGuest.Sectors];
    private readonly ConsoleCursor _console = new();
    private ulong _consoleSeen;

    public OwnershipRecord? Newest => _records.Count == 0 ? null : _records[(ulong)_records.Count];

    public ulong HighestPerformed { get; private set; }

    public int Actions { get; private set; }

    public int Repeated { get; private set; }

    /// <summary>The atomic operation of the storage.</summary>
    public OwnershipVerdict Claim(OwnershipClaim claim)
    {
        if (OwnershipRules.MustCreate(Newest, claim))
        {
            _records.Add(claim.Generation, new OwnershipRecord(claim.Replica.Vm, claim.Generation, claim.Replica.Node, claim.Replica.Incarnation, ""));
            return OwnershipVerdict.Owned;
        }
        return mutation == ProtocolMutation.TwoWinners ? OwnershipVerdict.Owned : OwnershipRules.Judge(Newest, claim);
    }

    public OwnershipVerdict Check(OwnershipClaim claim) => OwnershipRules.Judge(Newest, claim);

    /// <summary>A replica acts; a disk request may fail without effect. Returns data for a read.</summary>
    public ulong Perform(ReplicaIdentity actor, ulong generation, ulong number, MachineEffect effect, ProtocolGuest machine, bool fails = false)
    {
        Actions++;
        if (Newest is not { } owner || !owner.Names(actor))
            throw new InvariantException(Invariant.SingleActor, $"{actor.Node}#{actor.Incarnation} acts in generation {generation} (output {number}, {effect.GetType().Name}), but the VM belongs to {Newest}");
        if (number > 0 && effect is not DiskRequested { Request.Kind: DiskRequestKind.Read })
        {
            ulong content = machine.OutputHistory[(int)number - 1];
            while ((ulong)_performed.Count < number)
                _performed.Add(null);
            if (_performed[(int)number - 1] is { } before)
            {
                Repeated++;
                if (before != content)
                    throw new InvariantException(Invariant.SameOutput, $"output {number} was {before:x} and is {content:x} in generation {generation}");
            }
            _performed[(int)number - 1] = content;
            HighestPerformed = Math.Max(HighestPerformed, number);
        }
        switch (effect)
        {
            case ConsoleOutput console:
                Show(console);
                break;
            case DiskRequested { Request: { } request }:
                return fails ? 0 : Access(generation, request);
            default:
                break;
        }
        return 0;
    }

    private void Show(ConsoleOutput output)
    {
        int fresh = output.Bytes.Length;
        if (mutation != ProtocolMutation.ConsoleRepeated)
        {
            if (!_console.TryTake(output, out var bytes))
                throw new InvariantException(Invariant.ConsoleOnce, $"console bytes {_console.Position} to {output.StreamOffset} never came");
            fresh = bytes.Length;
        }
        _consoleSeen += (ulong)fresh;
        if (_consoleSeen != output.StreamOffset + (ulong)output.Bytes.Length && _consoleSeen != _console.Position)
            throw new InvariantException(Invariant.ConsoleOnce, $"the console has shown {_consoleSeen} bytes, the guest has written {output.StreamOffset + (ulong)output.Bytes.Length}");
    }

    private ulong Access(ulong generation, DiskRequest request)
    {
        ref var sector = ref _disk[request.Sector];
        if (request.Kind == DiskRequestKind.Read)
            return sector.Data;
        if (request.Id < sector.Id && generation <= sector.Generation)
            throw new InvariantException(Invariant.DiskOrder, $"write {request.Id} of generation {generation} comes after write {sector.Id} of generation {sector.Generation}");
        sector = (request.Id, generation, BinaryPrimitives.ReadUInt64LittleEndian(request.Data.AsSpan()));
        return 0;
    }

    /// <summary>A replica says that it is live: is it what the outside has seen so far?</summary>
    public void CheckSurvivor(ProtocolGuest machine)
    {
        if (HighestPerformed > (ulong)machine.OutputHistory.Count)
            throw new InvariantException(Invariant.Survivor, $"the outside has seen output {HighestPerformed}, the survivor has made only {machine.OutputHistory.Count}");
        for (int index = 0; index < _performed.Count; index++)
        {
            if (_performed[index] is { } content && machine.OutputHistory[index] != content)
                throw new InvariantException(Invariant.Survivor, $"the survivor's output {index + 1} is not the one the outside has seen");
        }
    }

    /// <summary>At the end: everything that counts as released has been seen, and the disk is what the guest left.</summary>
    public void CheckEnd(ProtocolGuest machine, ulong released, IReadOnlyList<bool> mustLeave)
    {
        for (ulong number = 1; number <= released; number++)
        {
            if (mustLeave[(int)number - 1] && ((ulong)_performed.Count < number || _performed[(int)number - 1] is null))
                throw new InvariantException(Invariant.OutputLost, $"output {number} counts as released, but never left");
        }
        for (int sector = 0; sector < ProtocolGuest.Sectors; sector++)
        {
            if (machine.Writes[sector].Count > 0 && !machine.Pending.ContainsKey(machine.Writes[sector][^1].Id) && !machine.MayHold(sector, _disk[sector].Data))
            {
                throw new InvariantException(Invariant.DiskContent,
                    $"sector {sector} holds write {_disk[sector].Id}, and the guest believes in {machine.Writes[sector][^1].Id}");
            }
        }
    }
}
