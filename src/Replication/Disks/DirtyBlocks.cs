using System.Collections.Immutable;
using System.Numerics;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Disks;

/// <summary>
/// Notes which blocks of separate disks were changed since the last collection: one bit for 64 KiB. A request is marked when it has ended and before the machine
/// hears of that: what has not ended is still in the machine's state, so that whoever goes on from that state issues it again. Pure.
/// </summary>
public sealed class DirtyBlocks
{
    private readonly ImmutableArray<ProtectedDisk> _disks;
    private readonly ulong[]?[] _dirty;

    /// <summary>Nothing is dirty.</summary>
    public DirtyBlocks(ImmutableArray<ProtectedDisk> disks)
    {
        _disks = disks;
        _dirty = new ulong[disks.Length][];
        for (int disk = 0; disk < disks.Length; disk++)
        {
            if (disks[disk].Sharing == DiskSharing.Separate)
                _dirty[disk] = new ulong[checked((int)((DiskBlocks.CountOf(disks[disk]) + 63) / 64))];
        }
    }

    /// <summary>A request has ended, well or not: one that failed may have changed a part.</summary>
    public void Mark(int disk, DiskRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.LengthBytes == 0 || request.Kind is DiskRequestKind.Read or DiskRequestKind.Flush
            || disk < 0 || disk >= _dirty.Length || _dirty[disk] is not { } words)
        {
            return;
        }
        ulong end = request.Sector + (request.LengthBytes / BlockProtocol.SectorBytes);
        for (ulong block = request.Sector / DiskBlocks.BlockSectors; block * DiskBlocks.BlockSectors < end && block / 64 < (ulong)words.Length; block++)
            words[block / 64] |= 1UL << (int)(block % 64);
    }

    /// <summary>The blocks marked since the last call, in order; none is marked afterwards.</summary>
    public IReadOnlyList<BlockPlace> Collect()
    {
        var places = new List<BlockPlace>();
        for (int disk = 0; disk < _disks.Length; disk++)
        {
            if (_dirty[disk] is not { } words)
                continue;
            for (int word = 0; word < words.Length; word++)
            {
                for (ulong left = words[word]; left != 0; left &= left - 1)
                    places.Add(new BlockPlace(disk, ((long)word * 64) + BitOperations.TrailingZeroCount(left)));
                words[word] = 0;
            }
        }
        return places;
    }
}
