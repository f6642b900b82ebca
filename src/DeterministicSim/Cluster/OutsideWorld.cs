using System.Globalization;
using System.Text;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeviceActors.Consoles;
using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// The console's reader: a client that follows the VM from host to host by the position in its stream, and compares each byte with what one
/// failure-free guest prints.
/// </summary>
internal sealed class OutsideWorld
{
    private readonly ClusterWorld _world;
    private readonly GuestText _text;
    private readonly StringBuilder _line = new();
    private readonly List<byte> _seen = [];

    public OutsideWorld(ClusterWorld world, string commandLine)
    {
        _world = world;
        _text = new GuestText(commandLine, world.Profile.Disks.Length > 0, world.Profile.Nics.Length > 0);
    }

    /// <summary>Seed of the guest's journal.</summary>
    public ulong JournalSeed => _text.Seed;

    /// <summary>The guest is the demanding one: what it prints depends on its inputs, and <see cref="DemandedDisk"/> follows it.</summary>
    public bool IsDemanding => _text.IsDemanding;

    /// <summary>Position in the console's stream.</summary>
    public ulong Position { get; private set; }

    /// <summary>Bytes read since the run began, also from guests that were lost.</summary>
    public ulong BytesRead { get; private set; }

    /// <summary>The guest has said all it had to say.</summary>
    public bool IsComplete => _text.Length is { } length && Position >= (ulong)length;

    /// <summary>The guest was started anew on a disk with so many records.</summary>
    public void Restart(int records)
    {
        Position = 0;
        _line.Clear();
        _seen.Clear();
        _world.Demanded?.Restart();
        _text.Restart(records);
    }

    /// <summary>Reads what a live replica's host has.</summary>
    public void ReadConsole(SimulatedHost host, ConsoleScrollback scrollback)
    {
        // After a violation the position stays: the run ends by it.
        while (scrollback.End > Position && _world.Violation is null)
        {
            // There is something to read, so that this is complete at once.
            (ulong offset, byte[] bytes) = scrollback.ReadAsync(Position, CancellationToken.None).GetAwaiter().GetResult();
            if (offset > Position)
            {
                _world.Fail("console", $"console bytes {Position} to {offset} never came: {host.Name} has none before {offset}");
                return;
            }
            Take(host, bytes);
        }
    }

    /// <summary>A live replica's console shows bytes, some of them perhaps again.</summary>
    public void Shown(SimulatedHost host, ulong offset, ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i < bytes.Length && offset + (ulong)i < (ulong)_seen.Count; i++)
        {
            if (_seen[(int)offset + i] != bytes[i])
            {
                _world.Fail(Invariant.SameOutput, $"byte {offset + (ulong)i} of the console was '{(char)_seen[(int)offset + i]}' and is '{(char)bytes[i]}' from {host.Name}");
                return;
            }
        }
    }

    private void Take(SimulatedHost host, byte[] bytes)
    {
        if (IsDemanding)
        {
            _seen.AddRange(bytes);
        }
        foreach (byte value in bytes)
        {
            int expected = IsDemanding ? value : _text.At(Position);
            if (expected != value)
            {
                _world.Fail("console", string.Create(CultureInfo.InvariantCulture,
                    $"byte {Position} of the console is '{(char)value}' from {host.Name}; one failure-free guest prints {(expected < 0 ? "nothing more" : $"'{(char)expected}'")}, behind \"{_line}\""));
                return;
            }
            Position++;
            BytesRead++;
            if (value == '\n')
            {
                string line = _line.ToString();
                _line.Clear();
                _world.Tell(host.Name, TimelineKind.Outside, $"console: {line}");
                _world.Simulation.Trace.Add(line);
                _world.Checks.ConsoleLine(host, line);
            }
            else
            {
                _line.Append((char)value);
            }
        }
    }
}

/// <summary>What the tiny guest prints, computed on the host.</summary>
internal sealed class GuestText
{
    private readonly string _guest;
    private readonly bool _disk;
    private readonly string _workload;
    private readonly int _count;
    private readonly int _records;
    private readonly int _rounds;
    private string _text;

    public GuestText(string commandLine, bool disk, bool nic)
    {
        _disk = disk;
        SortedDictionary<string, string> words = new(StringComparer.Ordinal);
        foreach (string word in commandLine.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            words[equals < 0 ? word : word[..equals]] = equals < 0 ? "" : word[(equals + 1)..];
        }
        _workload = words.GetValueOrDefault("workload", "hello");
        _count = Number(words, "count", TinyGuest.DefaultCount);
        _records = Number(words, "records", TinyGuest.DefaultCount);
        _rounds = Number(words, "rounds", TinyGuest.DefaultRounds);
        Seed = (ulong)Number(words, "seed", 1);
        HasNic = nic;
        _guest = $"{commandLine} disk={disk} nic={nic}";
        _text = GuestReference.Text(_guest, 0, Compose);
    }

    /// <summary>Whether this guest starts itself again and again.</summary>
    public static bool Reboots(string commandLine) => commandLine.Split(' ').Contains("workload=reboot");

    /// <summary>The guest's seed.</summary>
    public ulong Seed { get; }

    public bool HasNic { get; }

    public bool IsDemanding => _workload == "demanding";

    /// <summary>Bytes of the whole text; null if it has no end, or one that is not known here.</summary>
    public long? Length => EndsSilently ? null : _text.Length;

    /// <summary>The last line of the echo depends on the client.</summary>
    private bool EndsSilently => _workload is "echo" or "demanding" || (_workload is "all" && HasNic);

    public void Restart(int records) => _text = GuestReference.Text(_guest, records, Compose);

    /// <summary>The byte at a position; -1 behind the end.</summary>
    public int At(ulong position) => position < (ulong)_text.Length ? _text[(int)position] : -1;

    private string Compose(int present) => _workload switch
    {
        "hello" => TinyGuest.HelloText,
        "counter" => TinyGuest.CounterText(_count),
        "compute" => TinyGuest.ComputeText(Seed, _rounds),
        "journal" => TinyGuest.JournalText(Seed, _records, present),
        "reboot" => TinyGuest.RebootText(_count),
        "echo" => "echo ready\n",
        "demanding" => "",
        "service" => TinyGuest.ServiceText(Seed, _records, present),
        "all" => TinyGuest.HelloText + TinyGuest.ComputeText(Seed, _rounds) + TinyGuest.CounterText(_count)
            + (_disk ? TinyGuest.JournalText(Seed, _records, present) : "") + (HasNic ? "echo ready\n" : ""),
        _ => throw new ArgumentException($"What the workload '{_workload}' prints is not known."),
    };

    private static int Number(SortedDictionary<string, string> words, string name, int missing) =>
        words.TryGetValue(name, out string? value) && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : missing;
}
