using System.Text;
using FtAkka.GuestKit;
using FtAkka.Machine.Events;
using FtAkka.Recordings;
using FtAkka.Replication.Log;

namespace FtAkka.LinuxBench;

/// <summary>What the boot or a workload brings into the log.</summary>
/// <param name="GuestSeconds">Guest time that it took.</param>
/// <param name="Bytes">Bytes of log, the frames around the entries included.</param>
public sealed record WorkloadLog(double GuestSeconds, long Bytes)
{
    /// <summary>Mbit per second of guest time.</summary>
    public double MegabitPerSecond => GuestSeconds > 0 ? Math.Round(Bytes * 8 / 1e6 / GuestSeconds, 4) : 0;
}

/// <summary>Finds out, from the console of a replay, from which instruction to which each workload ran, and what the log holds between.</summary>
internal sealed class WorkloadStretches
{
    private readonly List<(string Name, ulong From, ulong To)> stretches = [];
    private readonly StringBuilder line = new();
    private (string Name, ulong From) open = (ConsoleTimings.Boot, 0);

    /// <summary>Takes an output of the guest.</summary>
    public void Take(MachineEffect effect)
    {
        if (effect is not ConsoleOutput output)
        {
            return;
        }
        foreach (byte value in output.Bytes)
        {
            if (value != '\n')
            {
                line.Append((char)value);
                continue;
            }
            Take(line.ToString(), effect.Icount);
            line.Clear();
        }
    }

    /// <summary>Reads the log once and adds up what belongs to each.</summary>
    /// <exception cref="RecordingException">It cannot be read.</exception>
    public IReadOnlyDictionary<string, WorkloadLog> MeasureLog(RecordingReader recording)
    {
        var logs = new Dictionary<string, WorkloadLog>(StringComparer.Ordinal);
        using LogFileReader log = recording.OpenLog();
        LogEntry? entry = log.Read();
        ulong tsc = 0;
        foreach ((string name, ulong from, ulong to) in stretches)
        {
            long bytes = 0;
            long frame = log.Position;
            ulong icount = from;
            ulong? start = null;
            for (; entry is not null && entry.Icount < to; entry = log.Read())
            {
                bool within = entry.Icount >= from;
                tsc = entry.Payload is InputPayload { Input: ClockAdvance clock } ? clock.Tsc : tsc;
                start = within ? start ?? tsc : start;
                bytes += within ? LogEntries.Encode(entry, icount).Length + (log.Position != frame ? LogFrame.HeaderBytes : 0) : 0;
                (icount, frame) = (within ? entry.Icount : from, log.Position);
            }
            logs[name] = new WorkloadLog(Math.Round((tsc - (start ?? tsc)) / (double)recording.Manifest.Machine.TscHz, 3), bytes);
        }
        return logs;
    }

    private void Take(string text, ulong icount)
    {
        text = text.TrimEnd('\r');
        if (text.StartsWith(InitramfsBuilder.UserlandLine, StringComparison.Ordinal) && open.Name == ConsoleTimings.Boot)
        {
            stretches.Add((open.Name, open.From, icount));
        }
        else if (text.StartsWith(LinuxWorkloads.StartMark, StringComparison.Ordinal))
        {
            open = (text[LinuxWorkloads.StartMark.Length..], icount);
        }
        else if (text.StartsWith(LinuxWorkloads.EndMark + open.Name + " ", StringComparison.Ordinal))
        {
            stretches.Add((open.Name, open.From, icount));
        }
    }
}
