using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;

namespace FtAkka.Recordings;

/// <summary>
/// A machine that replays a recording from one of its keyframes: reads the log as it goes, so that memory is bounded whatever the log's length.
/// </summary>
public sealed class RecordingReplay : IDisposable
{
    /// <summary>Entries read ahead.</summary>
    private const int BacklogMin = 64;

    /// <summary>Less of them when they hold so much: each may be a disk read of megabytes.</summary>
    private const long BacklogBytesMax = 8 << 20;

    private readonly LogFileReader log;
    private readonly bool ownsMachine;
    private bool logEnded;
    private long backlogBytes;

    /// <summary>Starts at a keyframe, on a new machine.</summary>
    /// <exception cref="RecordingException">A file cannot be used.</exception>
    public RecordingReplay(RecordingReader recording, Keyframe start, VcpuOptions? options = null)
        : this(recording, start, recording.CreateMachine(options), ownsMachine: true)
    {
    }

    /// <summary>Starts at a keyframe, on a machine of the recording that was in some other state; the caller goes on owning it.</summary>
    /// <exception cref="RecordingException">A file cannot be used.</exception>
    public RecordingReplay(RecordingReader recording, Keyframe start, GuestMachine machine)
        : this(recording, start, machine, ownsMachine: false)
    {
    }

    /// <summary>Goes on from any point, on a machine in the state of that point; the caller goes on owning it.</summary>
    /// <exception cref="RecordingException">The log cannot be used.</exception>
    public RecordingReplay(RecordingReader recording, GuestMachine machine, LogPosition position)
    {
        ArgumentNullException.ThrowIfNull(recording);
        log = recording.OpenLog();
        log.SeekBehind(position.LastLsn);
        Player = new MachinePlayer(machine, position, atCheckpoint: false);
    }

    private RecordingReplay(RecordingReader recording, Keyframe start, GuestMachine machine, bool ownsMachine)
    {
        ArgumentNullException.ThrowIfNull(recording);
        ArgumentNullException.ThrowIfNull(start);
        this.ownsMachine = ownsMachine;
        try
        {
            recording.Restore(start, machine);
            log = recording.OpenLog();
        }
        catch when (ownsMachine)
        {
            machine.Dispose();
            throw;
        }
        log.SeekBehind(start.Header.Position.LastLsn);
        Player = new MachinePlayer(machine, start.Header.Position);
    }

    /// <summary>The player.</summary>
    public MachinePlayer Player { get; }

    /// <summary>The machine.</summary>
    public GuestMachine Machine => Player.Machine;

    /// <summary>Why the log ends before its file does, once that was met.</summary>
    public LogTail? Tail => log.Tail;

    /// <summary>Replays at most <paramref name="maxInstructions"/> instructions. Starved: the recording ends here.</summary>
    public PlayerExit Run(ulong maxInstructions)
    {
        ulong start = Machine.Icount;
        ulong end = start > ulong.MaxValue - maxInstructions ? ulong.MaxValue : start + maxInstructions;
        List<MachineEffect>? effects = null;
        while (true)
        {
            ReadAhead();
            PlayerExit exit = Player.Run(end - Machine.Icount);
            if (exit.Stop != PlayerStop.Starved || (logEnded && Player.Backlog == 0))
            {
                return effects is null ? exit : exit with { Effects = [.. effects, .. exit.Effects] };
            }
            (effects ??= []).AddRange(exit.Effects);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        log.Dispose();
        if (ownsMachine)
        {
            Machine.Dispose();
        }
    }

    private void ReadAhead()
    {
        if (Player.Backlog == 0)
        {
            backlogBytes = 0;
        }
        while (!logEnded && Player.Backlog < BacklogMin && backlogBytes < BacklogBytesMax)
        {
            if (log.Read() is not { } entry)
            {
                logEnded = true;
            }
            else if (!Player.TryAppend(entry))
            {
                throw new RecordingException($"The log goes from entry {Player.LastReceived} to entry {entry.Lsn}.");
            }
            else
            {
                backlogBytes += LogEntries.ContentBytes(entry);
            }
        }
    }
}
