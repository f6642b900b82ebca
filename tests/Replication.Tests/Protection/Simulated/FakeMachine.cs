using System.Buffers.Binary;
using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection.Simulated;

/// <summary>
/// A machine whose outputs depend on everything it ever took in, so that a lost, repeated or displaced input shows in the next output.
/// Memory is pages of eight bytes; it talks to a console, a NIC and a disk of four sectors.
/// </summary>
internal sealed class FakeMachine
{
    public const int PageCount = 24;
    public const int PageBytes = 8;
    public const int Sectors = 4;

    private readonly ulong[] _pages = new ulong[PageCount];
    private readonly SortedSet<long> _dirty = [];
    private ulong _state = 0x9E3779B97F4A7C15;
    private ulong _consoleOffset;
    private ulong _nextDiskId = 1;

    public ulong Icount { get; private set; }

    public LogPosition Position { get; set; }

    public bool Ended { get; private set; }

    /// <summary>Content of every output made, by number from 1 on.</summary>
    public List<ulong> OutputHistory { get; private set; } = [];

    public SortedDictionary<ulong, DiskRequest> Pending { get; private set; } = [];

    /// <summary>Every write to each sector, by id.</summary>
    public List<(ulong Id, ulong Data)>[] Writes { get; private set; } = [[], [], [], []];

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
            _dirty.Add(page);
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
            Writes[sector].Add((id, _state));
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
                if (request.Kind == DiskRequestKind.Read)
                    CheckRead(request, BinaryPrimitives.ReadUInt64LittleEndian(disk.Completion.Data.AsSpan()));
                break;
            case NetReceive net:
                foreach (byte value in net.Frame)
                    _state = Mix(_state ^ value);
                break;
            case Control:
                Ended = true;
                break;
            default:
                throw new InvalidOperationException(input.GetType().Name);
        }
    }

    /// <summary>The last write before the read counts, or any later one: the guest did not wait for the read.</summary>
    private void CheckRead(DiskRequest read, ulong data)
    {
        var writes = Writes[read.Sector];
        int before = writes.FindLastIndex(write => write.Id < read.Id);
        bool legal = before < 0 && data == 0;
        for (int i = Math.Max(0, before); i < writes.Count; i++)
            legal |= writes[i].Data == data;
        if (!legal)
            BadRead = $"read {read.Id} of sector {read.Sector} returned {data:x}";
    }

    public MachineDigest Digest() => new(Icount, _state, _consoleOffset + (_nextDiskId << 32), Array.TrueForAll(_pages, page => page == 0) ? 1 : _pages.Aggregate(17ul, (hash, page) => Mix(hash ^ page)));

    public PageContent Page(long page) => new(page, _pages[page] == 0 ? [] : [.. BitConverter.GetBytes(_pages[page])]);

    public List<long> CollectDirty()
    {
        List<long> dirty = [.. _dirty];
        _dirty.Clear();
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

    public void RestoreState(ImmutableArray<byte> state, ulong icount, LogPosition position, FakeMachine origin, int historyLength)
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
