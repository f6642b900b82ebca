using System.Collections.Immutable;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeviceActors.Disks;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// A disk: one that all hosts share, or a host's own copy. A host's writes are durable when they have completed, as those of an image opened for write-through; while
/// they are under way a crash of the host may lose them, or leave a part.
/// </summary>
internal sealed class StoredDisk : IDisposable
{
    /// <summary>Bytes of a sector.</summary>
    public const int SectorBytes = 512;

    /// <summary>The content of a disk that is no longer used, all zero: a megabyte for each seed would cost a collection of all generations now and then.</summary>
    private static byte[]? s_spare;

    private readonly byte[] _content;
    private int _written;

    public StoredDisk(ulong sectors)
    {
        Sectors = sectors;
        byte[]? spare = Interlocked.Exchange(ref s_spare, null);
        _content = spare?.Length == (int)sectors * SectorBytes ? spare : new byte[sectors * SectorBytes];
    }

    public ulong Sectors { get; }

    public ReadOnlySpan<byte> Sector(ulong number) => _content.AsSpan((int)number * SectorBytes, SectorBytes);

    public ReadOnlySpan<byte> Content => _content;

    public ImmutableArray<byte> Read(ulong sector, ulong bytes) => [.. _content.AsSpan((int)sector * SectorBytes, (int)bytes)];

    public void Write(ulong sector, ReadOnlySpan<byte> data)
    {
        int offset = (int)sector * SectorBytes;
        data.CopyTo(_content.AsSpan(offset));
        _written = Math.Max(_written, offset + data.Length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _content.AsSpan(0, _written).Clear();
        s_spare = _content;
    }
}

/// <summary>A host's way to a disk, for one replica: a live one, or one that replays to its own copy.</summary>
internal sealed class SimulatedDisk(ClusterWorld world, SimulatedHost host, long incarnation) : IDiskBackend
{
    private static readonly TimeSpan LatencyLeast = TimeSpan.FromMicroseconds(50);
    private static readonly TimeSpan LatencyMost = TimeSpan.FromMilliseconds(4);
    private static readonly TimeSpan HeldMost = TimeSpan.FromMilliseconds(120);

    private readonly SortedDictionary<long, DiskRequest> _underWay = [];
    private long _next;
    private bool _closed;

    public SimulatedHost Host => host;

    private StoredDisk Stored => world.DiskOf(host);

    /// <inheritdoc/>
    public ulong CapacitySectors => Stored.Sectors;

    /// <inheritdoc/>
    public bool ReadOnly => false;

    /// <inheritdoc/>
    public Task<DiskOutcome> ExecuteAsync(DiskRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var done = new TaskCompletionSource<DiskOutcome>();
        if (!ClusterWorld.IsAlive(host, incarnation))
        {
            return done.Task;
        }
        world.Checks.DiskAct(host, incarnation, request);
        TimeSpan latency = world.Random.Between(LatencyLeast, LatencyMost) + world.Faults.Delay(FaultKind.DiskSlow, host);
        if (request.Kind == DiskRequestKind.Write && world.Faults.LosesWrites(host))
        {
            // Storage that can lose a write is storage that sits on it.
            latency += world.Random.Between(LatencyMost, HeldMost);
            world.Faults.WriteUnderWay(host, LatencyMost);
        }
        long number = _next++;
        _underWay.Add(number, request);
        world.Simulation.Schedule(latency, () =>
        {
            if (_underWay.Remove(number))
            {
                DiskOutcome outcome = Perform(request);
                SayIfClosed();
                if (ClusterWorld.IsAlive(host, incarnation))
                {
                    world.Simulation.Schedule(host.System!, TimeSpan.Zero, () => done.TrySetResult(outcome));
                }
            }
        });
        return done.Task;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _closed = true;
        SayIfClosed();
    }

    /// <summary>A disk that is being closed waits for its storage, and only then is its replica said to have ended: what is under way lands before anything can follow from that.</summary>
    public void FinishIfClosed()
    {
        if (!_closed)
        {
            return;
        }
        DiskRequest[] last = [.. _underWay.Values];
        _underWay.Clear();
        foreach (DiskRequest request in last)
        {
            Perform(request);
        }
        world.DiskClosed(this);
    }

    private void SayIfClosed()
    {
        if (_closed && _underWay.Count == 0)
        {
            world.DiskClosed(this);
        }
    }

    /// <summary>The host has crashed: what was under way is gone, there, or there in part.</summary>
    public void Crash()
    {
        foreach (DiskRequest request in _underWay.Values)
        {
            if (request.Kind != DiskRequestKind.Write)
            {
                continue;
            }
            bool torn = world.Faults.IsOn(FaultKind.DiskTornWrite, host), lost = world.Faults.IsOn(FaultKind.DiskLostWrite, host);
            if (torn && (!lost || world.Random.Below(2) == 0))
            {
                // Power fails between two bytes: the storage has the beginning.
                Landed(request);
                Stored.Write(request.Sector, request.Data.AsSpan()[..(1 + world.Random.Below(request.Data.Length - 1))]);
                world.Effect(FaultKind.DiskTornWrite, host.Name);
            }
            else if (lost)
            {
                world.Effect(FaultKind.DiskLostWrite, host.Name);
            }
            else if (world.Random.Below(2) == 0)
            {
                Landed(request);
                Stored.Write(request.Sector, request.Data.AsSpan());
            }
        }
        _underWay.Clear();
    }

    private DiskOutcome Perform(DiskRequest request)
    {
        if (world.Faults.Strikes(FaultKind.DiskFailure, host))
        {
            return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.IoError, []), "The simulated disk failed.");
        }
        switch (request.Kind)
        {
            case DiskRequestKind.Read:
                return Ok(request, Stored.Read(request.Sector, request.LengthBytes));
            case DiskRequestKind.Write when world.Faults.Strikes(FaultKind.DiskFull, host):
                return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.IoError, []), "The simulated disk is full.");
            case DiskRequestKind.Write:
                Landed(request);
                Stored.Write(request.Sector, request.Data.AsSpan());
                world.Checks.DiskWritten(request);
                return Ok(request, []);
            case DiskRequestKind.WriteZeroes when world.Faults.Strikes(FaultKind.DiskFull, host):
                return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.IoError, []), "The simulated disk is full.");
            case DiskRequestKind.WriteZeroes:
                Landed(request);
                Stored.Write(request.Sector, new byte[request.LengthBytes]);
                return Ok(request, []);
            case DiskRequestKind.Flush:
                return Ok(request, []);
            default:
                return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.Unsupported, []), "The simulated disk does not do that.");
        }
    }

    private void Landed(DiskRequest request)
    {
        if (world.Demanded is { } demanded && !world.HasOwnDisks && (_closed || !world.IsOwner(host, incarnation)))
        {
            demanded.LandedLate(host, request);
        }
    }

    private static DiskOutcome Ok(DiskRequest request, ImmutableArray<byte> data) =>
        new(new DiskCompletion(request.Id, DiskStatus.Ok, data), null);
}
