using System.Buffers.Binary;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection.Simulated;

internal sealed class InvariantViolation(string what) : Exception(what);

/// <summary>Faults planted into the shell, to see that the checks see them.</summary>
internal enum Mutation
{
    None, ReleaseBeforeAck, TwoWinners, LostEntry, SkippedReissue, FenceIgnored, ConsoleRepeated, OffByOneIcount, WatermarkAhead,
    SkippedResend, UnserializedDisk, LeaseFromReceipt,
}

/// <summary>
/// What the guest's outputs meet: a console, a wire, a shared disk, and the arbiter's storage. Checks at every action that it is one a
/// single, failure-free machine could have made.
/// </summary>
internal sealed class SimulatedOutside(Mutation mutation)
{
    private readonly Dictionary<ulong, ulong> _performed = [];
    private readonly Dictionary<ulong, OwnershipRecord> _records = [];
    private readonly (ulong Id, ulong Generation, ulong Data)[] _disk = new (ulong, ulong, ulong)[FakeMachine.Sectors];
    private readonly ConsoleCursor _console = new();
    private ulong _consoleSeen;

    public OwnershipRecord? Newest => _records.Count == 0 ? null : _records[(ulong)_records.Count];

    public ulong HighestPerformed { get; private set; }

    public Action<string>? Trace { get; set; }

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
        return mutation == Mutation.TwoWinners ? OwnershipVerdict.Owned : OwnershipRules.Judge(Newest, claim);
    }

    public OwnershipVerdict Check(OwnershipClaim claim) => OwnershipRules.Judge(Newest, claim);

    /// <summary>A replica acts. Returns data for a read.</summary>
    public ulong Perform(ReplicaIdentity actor, ulong generation, ulong number, MachineEffect effect, FakeMachine machine)
    {
        Actions++;
        if (Newest is not { } owner || !owner.Names(actor))
            throw new InvariantViolation($"{actor.Node}#{actor.Incarnation} acts in generation {generation} (output {number}, {effect.GetType().Name}), but the VM belongs to {Newest}");
        if (number > 0 && effect is not DiskRequested { Request.Kind: DiskRequestKind.Read })
        {
            ulong content = machine.OutputHistory[(int)number - 1];
            if (_performed.TryGetValue(number, out ulong before))
            {
                Repeated++;
                if (before != content)
                    throw new InvariantViolation($"output {number} was {before:x} and is {content:x} in generation {generation}");
            }
            _performed[number] = content;
            HighestPerformed = Math.Max(HighestPerformed, number);
        }
        switch (effect)
        {
            case ConsoleOutput console:
                Show(console);
                break;
            case DiskRequested { Request: { } request }:
                return Access(generation, request);
            default:
                break;
        }
        return 0;
    }

    private void Show(ConsoleOutput output)
    {
        int fresh = output.Bytes.Length;
        if (mutation != Mutation.ConsoleRepeated)
        {
            if (!_console.TryTake(output, out var bytes))
                throw new InvariantViolation($"console bytes {_console.Position} to {output.StreamOffset} never came");
            fresh = bytes.Length;
        }
        _consoleSeen += (ulong)fresh;
        if (_consoleSeen != output.StreamOffset + (ulong)output.Bytes.Length && _consoleSeen != _console.Position)
            throw new InvariantViolation($"the console has shown {_consoleSeen} bytes, the guest has written {output.StreamOffset + (ulong)output.Bytes.Length}");
    }

    private ulong Access(ulong generation, DiskRequest request)
    {
        ref var sector = ref _disk[request.Sector];
        Trace?.Invoke($"    disk: generation {generation} {request.Kind} {request.Id} of sector {request.Sector}, which holds {sector}");
        if (request.Kind == DiskRequestKind.Read)
            return sector.Data;
        if (request.Id < sector.Id && generation <= sector.Generation)
            throw new InvariantViolation($"write {request.Id} of generation {generation} comes after write {sector.Id} of generation {sector.Generation}");
        sector = (request.Id, generation, BinaryPrimitives.ReadUInt64LittleEndian(request.Data.AsSpan()));
        return 0;
    }

    /// <summary>A replica says that it is live: is it what the outside has seen so far?</summary>
    public void CheckSurvivor(FakeMachine machine)
    {
        if (HighestPerformed > (ulong)machine.OutputHistory.Count)
            throw new InvariantViolation($"the outside has seen output {HighestPerformed}, the survivor has made only {machine.OutputHistory.Count}");
        foreach (var (number, content) in _performed)
        {
            if (machine.OutputHistory[(int)number - 1] != content)
                throw new InvariantViolation($"the survivor's output {number} is not the one the outside has seen");
        }
    }

    /// <summary>At the end: everything that counts as released has been seen, and the disk is what the guest left.</summary>
    public void CheckEnd(FakeMachine machine, ulong released, bool[] isOutput)
    {
        for (ulong number = 1; number <= released; number++)
        {
            if (isOutput[number - 1] && !_performed.ContainsKey(number))
                throw new InvariantViolation($"output {number} counts as released, but never left");
        }
        for (int sector = 0; sector < FakeMachine.Sectors; sector++)
        {
            if (machine.Writes[sector].Count > 0 && machine.Writes[sector][^1] is var last && !machine.Pending.ContainsKey(last.Id)
                && _disk[sector].Data != last.Data)
            {
                throw new InvariantViolation($"sector {sector} holds write {_disk[sector].Id}, and the guest believes in {last.Id}");
            }
        }
    }
}
