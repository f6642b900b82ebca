using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;
using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Follows the demanding guest from outside: what it tells is the only source of what it must have asked of the disk, what it must have read there, and what the disk
/// must hold. A survivor that is another guest by a single bit goes on with another hash.
/// </summary>
internal sealed class DemandedDisk
{
    /// <summary>A frame may overtake its line on the way to the outside, by no more lines than this.</summary>
    private const int LinesLateMost = 4;

    private readonly ClusterWorld _world;
    private readonly ulong _seed;
    private readonly uint _sectors;
    private readonly SortedDictionary<ulong, DiskRequest> _open = [];
    private readonly (ulong First, ulong Last)[] _words;
    private readonly bool[] _known;
    private readonly ulong[] _knownFrom;
    private readonly SortedDictionary<ulong, int> _unexplained = [];
    private readonly SortedSet<ulong> _hashes = [];
    private DemandingReference _reference;
    private bool _started;
    private int _lines;
    private ulong _next;
    private ulong _end;

    /// <summary>A guest with a seed, and a disk of so many sectors.</summary>
    public DemandedDisk(ClusterWorld world, ulong seed, uint sectors)
    {
        (_world, _seed, _sectors, _reference) = (world, seed, sectors, new DemandingReference(seed, sectors));
        (_words, _known, _knownFrom) = (new (ulong, ulong)[sectors], new bool[sectors], new ulong[sectors]);
    }

    /// <summary>The guest begins anew, and asks from the first number on. What it had not told of may be on the disk or not; another host's copy may be an older one.</summary>
    public void Restart()
    {
        foreach (DiskRequest request in _open.Values)
        {
            Forget(request, 0);
        }
        if (_world.HasOwnDisks)
        {
            Array.Clear(_known);
        }
        Array.Clear(_knownFrom);
        _open.Clear();
        _unexplained.Clear();
        _hashes.Clear();
        (_reference, _started, _lines, _next, _end) = (new DemandingReference(_seed, _sectors), false, 0, 0, 0);
    }

    /// <summary>A replica issues a request to the disk.</summary>
    public void Issued(SimulatedHost host, DiskRequest request)
    {
        if (request.Id < _next)
        {
            // With its own disk a backup does later what its primary has done.
            if (!_world.HasOwnDisks)
            {
                _world.Fail(Invariant.Survivor, $"{host.Name} issues {Text(request)}, whose end the outside has been told of");
            }
        }
        else if (!_open.TryGetValue(request.Id, out DiskRequest? before))
        {
            _open.Add(request.Id, request);
            _end = Math.Max(_end, request.Id + 1);
        }
        else if (before.Kind == DiskRequestKind.Read)
        {
            // What only reads leaves before the backup has heard of it, which may do something else under that number.
            _open[request.Id] = request;
        }
        else if (before != request && (Text(before) != Text(request) || !before.Data.AsSpan().SequenceEqual(request.Data.AsSpan())))
        {
            _world.Fail(Invariant.SameOutput, $"{host.Name} issues {Text(request)}, which was {Text(before)}{(Text(before) == Text(request) ? " with other content" : "")}");
        }
    }

    /// <summary>
    /// A write lands whose replica does not own the VM any more: the storage has delayed it beyond the take-over, which no process can prevent
    /// (docs/failure-model.md, "Limits"). What is there is known again when it has been written again.
    /// </summary>
    public void LandedLate(SimulatedHost host, DiskRequest request)
    {
        if (_world.KeepsTimeline)
        {
            _world.Tell(host.Name, TimelineKind.Outside, $"{Text(request)} lands after the take-over");
        }
        Forget(request, _end);
    }

    /// <summary>The console's reader has a whole line.</summary>
    public void Line(SimulatedHost host, string line)
    {
        if (!_started)
        {
            _started = line == DemandingReference.FirstLine;
            if (!_started)
            {
                _world.Fail(Invariant.ConsoleOnce, $"the first line of the console is \"{line}\" from {host.Name}; it should be \"{DemandingReference.FirstLine}\"");
            }
            return;
        }
        if (_reference.Take(line, _world.Lan.StateBehind, out DemandedRound? round) is { } wrong)
        {
            _world.Fail(Invariant.ConsoleOnce, $"line {_lines + 1} of the guest, \"{line}\" from {host.Name}, does not follow from those before: {wrong}");
            return;
        }
        _lines++;
        Told(host, round!);
        _hashes.Add(round!.Hash);
        _unexplained.Remove(round.Hash);
        if (_unexplained.Values.Any(since => since + LinesLateMost < _lines))
        {
            _world.Fail("echo", $"a frame told of a hash that the guest on {host.Name} did not have, {LinesLateMost} lines ago");
        }
    }

    /// <summary>A frame of the guest tells of its hash.</summary>
    public void Frame(ulong hash)
    {
        if (!_hashes.Contains(hash))
        {
            _unexplained.TryAdd(hash, _lines);
        }
    }

    /// <summary>A replica goes live with a disk: what the guest has told of must be there, but where it has changed it since.</summary>
    public void GoesLiveOn(SimulatedHost host)
    {
        var open = new HashSet<ulong>(_open.Values.Where(Changes).SelectMany(Range));
        StoredDisk disk = _world.DiskOf(host);
        for (ulong sector = 0; sector < _sectors; sector++)
        {
            if (_known[sector] && !open.Contains(sector) && WordsOf(disk.Sector(sector)) != _words[sector])
            {
                _world.Fail("durability", $"{host.Name} goes live, and sector {sector} of its disk is not what the guest has told of");
                return;
            }
        }
    }

    private void Told(SimulatedHost host, DemandedRound round)
    {
        for (int number = 0; number < round.Requests.Length && _world.Violation is null; number++)
        {
            DemandedRequest expected = round.Requests[number];
            ulong id = _next + (ulong)number;
            if (!_open.Remove(id, out DiskRequest? request))
            {
                _world.Fail(Invariant.DiskContent, $"the guest on {host.Name} tells of the end of its disk request {id}, and nobody has issued it");
            }
            else if (!IsSame(expected, request))
            {
                _world.Fail(Invariant.DiskContent, $"{Text(request)} was issued; what the guest on {host.Name} tells asks for {expected.Kind} of {expected.Sectors} sectors from {expected.Sector}");
            }
            else if (((round.Failed >> number) & 1) == 1)
            {
                Forget(request, 0);
            }
            else if (expected.Kind == DemandedKind.Read)
            {
                CheckRead(host, round, number, id);
            }
            else if (expected.Changes)
            {
                Learn(expected, id);
            }
        }
        _next += (ulong)round.Requests.Length;
    }

    /// <summary>What was read is what requests before it have written. A later one of the same round may have come first: another host did it, and did not live to tell.</summary>
    private void CheckRead(SimulatedHost host, DemandedRound round, int number, ulong id)
    {
        DemandedRequest read = round.Requests[number];
        ulong sum = 0;
        for (ulong sector = read.Sector; sector < read.Sector + (ulong)read.Sectors; sector++)
        {
            if (!_known[sector] || round.Requests.Skip(number + 1).Any(later => later.Changes && sector >= later.Sector && sector < later.Sector + (ulong)later.Sectors))
            {
                return;
            }
            sum = DemandingReference.Sum(sum, _words[sector].First, _words[sector].Last);
        }
        if (sum != round.Sums[number])
        {
            _world.Fail(Invariant.DiskContent, string.Create(CultureInfo.InvariantCulture,
                $"the guest on {host.Name} has read other than one failure-free disk has, by request {id} of {read.Sectors} sectors from {read.Sector}"));
        }
    }

    private void Learn(DemandedRequest request, ulong id)
    {
        for (ulong sector = request.Sector; sector < request.Sector + (ulong)request.Sectors; sector++)
        {
            _known[sector] = id >= _knownFrom[sector];
            _words[sector] = request.Words(sector);
        }
    }

    /// <summary>What is where this request writes is not known before a request with at least this number has written there.</summary>
    private void Forget(DiskRequest request, ulong until)
    {
        foreach (ulong sector in Changes(request) ? Range(request) : [])
        {
            _known[sector] = false;
            _knownFrom[sector] = Math.Max(_knownFrom[sector], until);
        }
    }

    private static bool IsSame(DemandedRequest expected, DiskRequest request)
    {
        bool same = request.Sector == expected.Sector && request.LengthBytes == (ulong)expected.Sectors * StoredDisk.SectorBytes && request.Kind == expected.Kind switch
        {
            DemandedKind.Read => DiskRequestKind.Read,
            DemandedKind.Write => DiskRequestKind.Write,
            DemandedKind.Flush => DiskRequestKind.Flush,
            _ => DiskRequestKind.WriteZeroes,
        };
        for (int i = 0; same && expected.Kind == DemandedKind.Write && i < expected.Sectors; i++)
        {
            same = WordsOf(request.Data.AsSpan(i * StoredDisk.SectorBytes, StoredDisk.SectorBytes)) == expected.Words(expected.Sector + (ulong)i);
        }
        return same;
    }

    private static (ulong First, ulong Last) WordsOf(ReadOnlySpan<byte> sector) =>
        (BinaryPrimitives.ReadUInt64LittleEndian(sector), BinaryPrimitives.ReadUInt64LittleEndian(sector[^8..]));

    private static bool Changes(DiskRequest request) => request.Kind is DiskRequestKind.Write or DiskRequestKind.WriteZeroes;

    private static IEnumerable<ulong> Range(DiskRequest request)
    {
        for (ulong sector = request.Sector; sector < request.Sector + (request.LengthBytes / StoredDisk.SectorBytes); sector++)
        {
            yield return sector;
        }
    }

    private static string Text(DiskRequest request) => string.Create(CultureInfo.InvariantCulture,
        $"disk request {request.Id} ({request.Kind} of {request.LengthBytes / StoredDisk.SectorBytes} sectors from {request.Sector})");
}
