using System.Buffers.Binary;
using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>A write of the guest.</summary>
internal readonly record struct GuestWrite(ulong Id, ulong Data, bool Failed);

/// <summary>
/// A machine whose outputs depend on everything it ever took in, so that a lost, repeated or displaced input shows in the next output.
/// Memory is pages of eight bytes; it talks to a console, a NIC and a disk of four sectors.
/// </summary>
internal sealed class ProtocolGuest
{
    public const int PageCount = 24;
    public const int PageBytes = 8;
    public const int Sectors = 4;

    private readonly ulong[] _pages = new ulong[PageCount];
    /// <summary>One bit for each page.</summary>
    private uint _dirty;
    private ulong _state = 0x9E3779B97F4A7C15;
    private ulong _consoleOffset;
    private ulong _nextDiskId = 1;

    public ulong Icount { get; private set; }

    public LogPosition Position { get; set; }

    public bool Ended { get; private set; }

    /// <summary>Content of every output made, by number from 1 on.</summary>
    public List<ulong> OutputHistory { get; private set; } = [];

    public SortedDictionary<ulong, DiskRequest> Pending { get; private set; } = [];

    /// <summary>Every write to each sector, by id. One that failed may be there or not.</summary>
    public List<GuestWrite>[] Writes { get; private set; } = [[], [], [], []];

    /// <summary>Set when a read returned what no legal order of the requests could have.</summary>
    public string? BadRead { get; private set; }

    public List<MachineEffect> Run(ulong instructions)
    {
        var effects = new List<MachineEffect>();
        for (ulong i = 0; i < instructions && !Ended; i++)
        {
            Icount++;
            _state = Mix(_state ^ Icount);
            long page = (long)(_state % PageCount);
            _pages[page] ^= _state;
            _dirty |= 1u << (int)page;
            _state ^= _pages[(page + 7) % PageCount];
            if (MakeOutput() is { } effect)
            {
                effects.Add(effect);
                OutputHistory.Add(_state);
            }
        }
        Position = Position with { LastOutput = Position.LastOutput + (ulong)effects.Count };
        return effects;
    }

    private MachineEffect? MakeOutput()
    {
        switch (_state >> 40 & 15)
        {
            case 0:
                var bytes = BitConverter.GetBytes(_state).Take((int)(_state % 5) + 1).ToImmutableArray();
                _consoleOffset += (ulong)bytes.Length;
                return new ConsoleOutput(Icount, ConsoleKind.Serial, _consoleOffset - (ulong)bytes.Length, bytes);
            case 1:
                return new NetTransmit(Icount, 0, [[.. BitConverter.GetBytes(_state)]]);
            case 2 or 3:
                return Request(DiskRequestKind.Write);
            case 4:
                return Request(DiskRequestKind.Read);
            default:
                return null;
        }
    }

    private DiskRequested Request(DiskRequestKind kind)
    {
        var sector = _state >> 20 & (Sectors - 1);
        var id = _nextDiskId++;
        bool write = kind == DiskRequestKind.Write;
        if (write)
            Writes[sector].Add(new GuestWrite(id, _state, Failed: false));
        var request = new DiskRequest(id, kind, sector, 512, write ? [.. BitConverter.GetBytes(_state)] : []);
        Pending.Add(id, request);
        return new DiskRequested(Icount, 0, request);
    }

    public void Inject(InputEvent input)
    {
        _state = Mix(_state + 1);
        switch (input)
        {
            case DiskCompleted disk:
                if (!Pending.Remove(disk.Completion.Id, out var request))
                    throw new InvalidOperationException($"completion of request {disk.Completion.Id}, which is not pending");
                foreach (byte value in disk.Completion.Data)
                    _state = Mix(_state ^ value);
                if (disk.Completion.Status != DiskStatus.Ok)
                    Fail(request);
                else if (request.Kind == DiskRequestKind.Read)
                    CheckRead(request, BinaryPrimitives.ReadUInt64LittleEndian(disk.Completion.Data.AsSpan()));
                break;
            case NetReceive net:
                foreach (byte value in net.Frame)
                    _state = Mix(_state ^ value);
                break;
            case Control { Operation: ControlOperation.PowerOff }:
                Ended = true;
                break;
            case Control:
                // Another run of the same guest begins; here it shows as another state.
                _state = Mix(~_state);
                break;
            default:
                throw new InvalidOperationException(input.GetType().Name);
        }
    }

    private void Fail(DiskRequest request)
    {
        _state = Mix(_state + 2);
        if (request.Kind == DiskRequestKind.Write)
        {
            var writes = Writes[request.Sector];
            int index = writes.FindLastIndex(write => write.Id == request.Id);
            writes[index] = writes[index] with { Failed = true };
        }
    }

    /// <summary>What a sector may hold once nothing is under way: the last write that succeeded, or a later one that failed.</summary>
    public bool MayHold(int sector, ulong data)
    {
        var writes = Writes[sector];
        int settled = writes.FindLastIndex(write => !write.Failed);
        bool may = settled < 0 && data == 0;
        for (int i = Math.Max(0, settled); i < writes.Count; i++)
            may |= writes[i].Data == data;
        return may;
    }

    /// <summary>The last write before the read counts, or any later one: the guest did not wait for the read.</summary>
    private void CheckRead(DiskRequest read, ulong data)
    {
        var writes = Writes[read.Sector];
        int before = writes.FindLastIndex(write => write.Id < read.Id && !write.Failed);
        bool legal = before < 0 && data == 0;
        for (int i = Math.Max(0, before); i < writes.Count; i++)
            legal |= writes[i].Data == data;
        if (!legal)
            BadRead = $"read {read.Id} of sector {read.Sector} returned {data:x}";
    }

    public MachineDigest Digest()
    {
        ulong memory = 17;
        foreach (ulong page in _pages)
            memory = Mix(memory ^ page);
        return new MachineDigest(Icount, _state, _consoleOffset + (_nextDiskId << 32), memory);
    }

    public PageContent Page(long page) => new(page, _pages[page] == 0 ? [] : [.. BitConverter.GetBytes(_pages[page])]);

    public List<long> CollectDirty()
    {
        var dirty = new List<long>();
        for (int page = 0; page < PageCount; page++)
        {
            if ((_dirty >> page & 1) != 0)
                dirty.Add(page);
        }
        _dirty = 0;
        return dirty;
    }

    public void WritePages(IEnumerable<PageContent> pages)
    {
        foreach (var page in pages)
            _pages[page.Page] = page.Bytes.Length == 0 ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(page.Bytes.AsSpan());
    }

    /// <summary>Registers and device state as bytes; what is no guest state (histories for checking) goes beside.</summary>
    public ImmutableArray<byte> SaveState() =>
        [.. BitConverter.GetBytes(_state), .. BitConverter.GetBytes(_consoleOffset), .. BitConverter.GetBytes(_nextDiskId)];

    public void RestoreState(ImmutableArray<byte> state, ulong icount, LogPosition position, ProtocolGuest origin, int historyLength)
    {
        (_state, _consoleOffset, _nextDiskId) = (U64(state, 0), U64(state, 8), U64(state, 16));
        (Icount, Position) = (icount, position);
        OutputHistory = origin.OutputHistory.GetRange(0, historyLength);
        Writes = [.. origin.Writes.Select(list => list.Where(write => write.Id < _nextDiskId).ToList())];
    }

    public void RestorePending(IEnumerable<KeyValuePair<ulong, DiskRequest>> pending) => Pending = new(pending.ToDictionary(p => p.Key, p => p.Value));

    private static ulong U64(ImmutableArray<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan()[at..]);

    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 31)) * 0x7FB5D329728EA185;
        value = (value ^ (value >> 27)) * 0x81DADEF4BC2DD44D;
        return value ^ (value >> 33);
    }
}
