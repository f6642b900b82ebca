using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.DeterministicSim.Contract;

/// <summary>
/// Holds whoever performs the effects of a <see cref="ReplicaCore"/> to the contract in the remarks of that class, by what is handed in and what comes out.
/// Every simulated host is watched by one; the product's performer runs on the simulated hosts, and is so held to the same contract as the protocol simulator's.
/// </summary>
public sealed class PerformerContract
{
    private readonly HashSet<(int Disk, ulong Id)> _atDisk = [];
    private readonly Dictionary<ConsoleKind, ulong> _atConsole = [];
    private readonly HashSet<ChannelSession> _copies = [];
    private Lsn _fed;
    private Lsn? _recorded;
    private int _devicesAsked;
    private int _replayStopsAsked;
    private int _flushesAsked;
    private bool _begun;
    private bool _replayIsOver;
    private bool _runs;

    /// <summary>Looks at a step.</summary>
    /// <param name="input">What was handed in.</param>
    /// <param name="effects">What came out.</param>
    /// <returns>What breaks the contract, for people; null if nothing does.</returns>
    public string? Stepped(ReplicaInput input, IReadOnlyList<ReplicaEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        string? broken = TakeOf(input);
        foreach (ReplicaEffect effect in effects)
        {
            Note(effect);
        }
        return broken ?? OrderOf(input, effects);
    }

    private string? TakeOf(ReplicaInput input)
    {
        bool first = !_begun;
        _begun = true;
        _replayIsOver |= input is ReplicaInput.ReplayStopped;
        if (first != input is ReplicaInput.Begin)
        {
            return $"Begin is the first input and comes once, and {NameOf(input)} is {(first ? "first" : "not first")}";
        }
        return input switch
        {
            ReplicaInput.MachineReady or ReplicaInput.DevicesRefused when --_devicesAsked < 0 => $"{NameOf(input)}, and no OpenDevices waits for an answer",
            ReplicaInput.Flushed when --_flushesAsked < 0 => "Flushed, and no Flush waits for an answer",
            ReplicaInput.CopyRead read when !_copies.Contains(read.Session) => $"CopyRead of {read.Session}, in which nothing was read",
            ReplicaInput.ReplayStopped when --_replayStopsAsked < 0 => "ReplayStopped, and no StopReplay waits for an answer",
            ReplicaInput.Replayed when _replayIsOver => "Replayed after the replay was stopped",
            ReplicaInput.Replayed replayed when replayed.Executed > _fed => $"Replayed up to entry {replayed.Executed}, and only {_fed} was fed",
            ReplicaInput.DiskRequestEnded ended when !_atDisk.Remove((ended.Disk, ended.Id)) => $"request {ended.Id} of disk {ended.Disk} has ended, and was not handed over",
            ReplicaInput.ConsoleTaken taken when taken.Position > _atConsole.GetValueOrDefault(taken.Console) =>
                $"{taken.Console} has taken {taken.Position} bytes, and has been handed {_atConsole.GetValueOrDefault(taken.Console)}",
            ReplicaInput.Recorded recorded => TakeOf(recorded),
            _ => null,
        };
    }

    private string? TakeOf(ReplicaInput.Recorded recorded)
    {
        if (!_runs)
        {
            return "Recorded before Run";
        }
        foreach (LogEntry entry in recorded.Entries)
        {
            if (_recorded is { } last && entry.Lsn != last.Next)
            {
                return $"entry {entry.Lsn} was recorded after entry {last}";
            }
            _recorded = entry.Lsn;
            if (entry.Payload is InputPayload { Input: DiskCompleted completed } && _atDisk.Contains((completed.Disk, completed.Completion.Id)))
            {
                return $"entry {entry.Lsn} records the end of request {completed.Completion.Id} of disk {completed.Disk}, which was not handed in before it";
            }
        }
        return null;
    }

    private void Note(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.OpenDevices:
                _devicesAsked++;
                break;
            case ReplicaEffect.StopReplay:
                _replayStopsAsked++;
                break;
            case ReplicaEffect.Flush:
                _flushesAsked++;
                break;
            case ReplicaEffect.Run:
                _runs = true;
                break;
            case ReplicaEffect.ReadCopy read:
                _copies.Add(read.Session);
                break;
            case ReplicaEffect.StartReplay start:
                _fed = start.Position.LastLsn;
                break;
            case ReplicaEffect.FeedReplay feed:
                _fed = feed.Entries[^1].Lsn;
                break;
            case ReplicaEffect.Reissue reissue:
                foreach (PendingRequest pending in reissue.Requests)
                {
                    _atDisk.Add((pending.Disk, pending.Request.Id));
                }
                break;
            case ReplicaEffect.Release release:
                foreach (GatedOutput output in release.Outputs)
                {
                    Note(output.Effect);
                }
                break;
            default:
                break;
        }
    }

    private void Note(MachineEffect output)
    {
        if (output is DiskRequested request)
        {
            _atDisk.Add((request.Disk, request.Request.Id));
        }
        else if (output is ConsoleOutput text)
        {
            _atConsole[text.Console] = Math.Max(_atConsole.GetValueOrDefault(text.Console), text.StreamOffset + (ulong)text.Bytes.Length);
        }
    }

    /// <summary>The core's own half: what a step may contain together.</summary>
    private static string? OrderOf(ReplicaInput input, IReadOnlyList<ReplicaEffect> effects)
    {
        List<int> order = [.. effects.Select(effect => effect switch
        {
            ReplicaEffect.Announce => 0,
            ReplicaEffect.Reissue => 1,
            ReplicaEffect.Run => 3,
            ReplicaEffect.Release when input is ReplicaInput.MachineReady => 2,
            _ => -1,
        }).Where(place => place >= 0)];
        if (order.Contains(3) != input is ReplicaInput.MachineReady && effects.Count > 0)
        {
            return $"{NameOf(input)} {(order.Contains(3) ? "lets" : "does not let")} the machine run";
        }
        for (int i = 0; i < effects.Count - 1; i++)
        {
            if (effects[i] is ReplicaEffect.HaltReplica)
            {
                return $"{effects[i + 1].GetType().Name} follows HaltReplica";
            }
        }
        return order.Zip(order.Skip(1)).Any(pair => pair.First > pair.Second) ? "going live is out of order" : null;
    }

    private static string NameOf(ReplicaInput input) => input.GetType().Name;
}
