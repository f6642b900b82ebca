using System.Collections.Immutable;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>
/// How a live replica gets its devices. A VM that starts here is refused if they cannot be opened. One that has just been taken over has nobody else to run it,
/// and the former primary's host may still hold a network or a disk: its devices are tried again, for a minute.
/// </summary>
internal sealed class DeviceOpening(ReplicaCore core, LogPosition position, ImmutableArray<PendingRequest>? pending)
{
    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(50);
    private const int TriesMax = 1200;

    private int _refusals;
    private Instant? _again;

    /// <summary>Disk requests that the machine waits for; null for a machine that starts.</summary>
    public ImmutableArray<PendingRequest>? Pending { get; private set; } = pending;

    /// <summary>Asks for the devices of a machine that starts.</summary>
    public void Begin() => core.Emit(new ReplicaEffect.OpenDevices(position));

    /// <summary>Asks for the devices of a machine that replay has given away.</summary>
    public void Begin(ImmutableArray<PendingRequest> requests)
    {
        Pending = requests;
        Begin();
    }

    /// <summary>A device cannot be opened.</summary>
    public void Refused(Instant now, string why)
    {
        if (Pending is null || ++_refusals > TriesMax)
        {
            core.Halt(HaltReason.DevicesRefused, $"The devices cannot be opened: {why}");
            return;
        }
        string error = $"the devices cannot be opened: {why}";
        if (error != core.LastError)
        {
            core.LastError = error;
            core.Report($"{error}; trying again");
        }
        _again = now + TryAgainAfter;
    }

    /// <summary>Asks again when it is time.</summary>
    public void Settle(Instant now)
    {
        if (_again is { } again && now >= again)
        {
            _again = null;
            Begin();
        }
    }
}
