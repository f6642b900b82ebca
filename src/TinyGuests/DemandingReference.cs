using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;

namespace FtAkka.TinyGuests;

/// <summary>What a request of the demanding workload does.</summary>
public enum DemandedKind
{
    /// <summary>Reads.</summary>
    Read,

    /// <summary>Writes; the first and the last word of each sector are <see cref="DemandedRequest.Words"/>, the others whatever the buffer held.</summary>
    Write,

    /// <summary>Flushes.</summary>
    Flush,

    /// <summary>Writes zeroes.</summary>
    WriteZeroes,
}

/// <summary>A disk request that follows from what the demanding workload has seen.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Sector">Its first sector.</param>
/// <param name="Sectors">Its length; 0 for a flush.</param>
/// <param name="Key">What a write's content follows from.</param>
public sealed record DemandedRequest(DemandedKind Kind, ulong Sector, int Sectors, ulong Key)
{
    /// <summary>Whether it leaves other content on the disk.</summary>
    public bool Changes => Kind is DemandedKind.Write or DemandedKind.WriteZeroes;

    /// <summary>First and last word of a sector behind it.</summary>
    public (ulong First, ulong Last) Words(ulong sector)
    {
        ulong word = unchecked((Key + sector) * 0x2545_f491_4f6c_dd1d);
        return Kind == DemandedKind.WriteZeroes ? (0, 0) : (word, ~word);
    }
}

/// <summary>A round, as the guest has told of it and as it follows from what it said.</summary>
/// <param name="Requests">In the order in which they were handed over, all at once.</param>
/// <param name="Failed">The requests that the guest saw fail, a bit for each.</param>
/// <param name="Sums">What it makes of what it read, by request; 0 for what did not read.</param>
/// <param name="Hash">Of everything that the guest has seen since it began.</param>
public sealed record DemandedRound(ImmutableArray<DemandedRequest> Requests, int Failed, ImmutableArray<ulong> Sums, ulong Hash);

/// <summary>
/// Follows the demanding workload from outside. A line is <c>d TIME ENTROPY SEEN SUM... HASH</c>, sixteen hexadecimal digits each: time and entropy from which the
/// round's requests follow; the network's requests answered so far (bits 0 to 31), the disk requests that failed (32 to 39) and how often it woke (40 to 55); a sum for
/// each read; and the hash of all of it, of the state of the network's answers, and of the hash before.
/// </summary>
public sealed class DemandingReference
{
    /// <summary>Its first line.</summary>
    public const string FirstLine = "demanding starts";

    /// <summary>Sectors of its longest request; a disk has at least so many.</summary>
    public const int SectorsMost = 512;

    private readonly uint _capacity;
    private readonly GuestFold _hash = new();
    private ulong _time;
    private uint _served;

    /// <summary>A guest with a seed and a disk of so many sectors, that has said its first line.</summary>
    public DemandingReference(ulong seed, uint capacitySectors)
    {
        _capacity = capacitySectors;
        _hash.Add(seed);
    }

    /// <summary>What the guest makes of a sector that it reads behind others.</summary>
    public static ulong Sum(ulong before, ulong first, ulong last) => BitOperations.RotateLeft(unchecked(before + first), 7) ^ last;

    /// <summary>The hash that a frame of this workload tells; null if it is none.</summary>
    public static ulong? HashOf(ReadOnlySpan<byte> frame) =>
        frame.Length == EchoFrame.FrameBytesMin && BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == EchoFrame.EtherType
            && BinaryPrimitives.ReadUInt32LittleEndian(frame[EchoFrame.MarkOffset..]) == EchoFrame.ReportMark
            ? BinaryPrimitives.ReadUInt64LittleEndian(frame[EchoFrame.SequenceOffset..]) : null;

    /// <summary>Takes the next line. Returns what is wrong with it, for people; null when nothing is.</summary>
    /// <param name="line">Without its end.</param>
    /// <param name="echoState">The state of the network's answers behind so many of them; null if so many were not asked for.</param>
    /// <param name="round">What follows from it.</param>
    public string? Take(string line, Func<uint, ulong?> echoState, out DemandedRound? round)
    {
        ArgumentNullException.ThrowIfNull(line);
        ArgumentNullException.ThrowIfNull(echoState);
        round = null;
        if (!TryParse(line, out ImmutableArray<ulong> numbers))
        {
            return "it is no line of this guest";
        }
        (ulong time, ulong entropy, ulong seen, ulong told) = (numbers[0], numbers[1], numbers[2], numbers[^1]);
        if (time <= _time)
        {
            return $"its time was {_time:x16} before";
        }
        _time = time;
        _hash.Add(time);
        _hash.Add(entropy);
        ImmutableArray<DemandedRequest> requests = Draw(new GuestRandom(_hash.Value | 1));
        uint served = (uint)seen;
        int failed = (int)(seen >> 32) & 0xff;
        int reads = requests.Count(request => request.Kind == DemandedKind.Read);
        if (numbers.Length != 4 + reads || seen >> 56 != 0 || failed >> requests.Length != 0)
        {
            return $"time and entropy ask for {requests.Length} requests, {reads} of them to read";
        }
        if (served < _served || echoState(served) is not { } state)
        {
            return $"it has answered {served} requests of the network, and had answered {_served} before; no more were asked";
        }
        _served = served;
        _hash.Add(seen);
        _hash.Add(state);
        var sums = ImmutableArray.CreateBuilder<ulong>(requests.Length);
        int next = 3;
        foreach (DemandedRequest request in requests)
        {
            sums.Add(request.Kind == DemandedKind.Read ? numbers[next++] : 0);
            if (request.Kind == DemandedKind.Read)
            {
                _hash.Add(sums[^1]);
            }
        }
        round = new DemandedRound(requests, failed, sums.ToImmutable(), told);
        return told == _hash.Value ? null : $"the hash of what it has seen is {_hash.Value:x16}: it has seen something else, now or before";
    }

    private static bool TryParse(string line, out ImmutableArray<ulong> numbers)
    {
        string[] words = line.Split(' ');
        var parsed = ImmutableArray.CreateBuilder<ulong>(words.Length);
        foreach (string word in words.Skip(1))
        {
            if (word.Length != 16 || !ulong.TryParse(word, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong number))
            {
                break;
            }
            parsed.Add(number);
        }
        numbers = parsed.ToImmutable();
        return words[0] == "d" && numbers.Length == words.Length - 1 && numbers.Length >= 4;
    }

    private ImmutableArray<DemandedRequest> Draw(GuestRandom random)
    {
        int count = 1 + (int)(random.Next() >> 61);
        ulong hot = (random.Next() >> 32) % _capacity;
        var requests = ImmutableArray.CreateBuilder<DemandedRequest>(count);
        for (int number = 0; number < count; number++)
        {
            ulong shape = random.Next(), place = random.Next() >> 32, key = random.Next();
            DemandedKind kind = KindOf(number, shape);
            int sectors = kind == DemandedKind.Flush ? 0 : SectorsOf(number, shape);
            ulong sector = ((shape >> 57) & 1) == 1 ? hot + (place & 63) : place % _capacity;
            requests.Add(new DemandedRequest(kind, kind == DemandedKind.Flush ? 0 : Math.Min(sector, _capacity - (ulong)sectors), sectors, key));
        }
        return requests.ToImmutable();
    }

    /// <summary>The second only reads: its pages are written by the device alone.</summary>
    private static DemandedKind KindOf(int number, ulong shape) => (shape >> 61) switch
    {
        _ when number == 1 => DemandedKind.Read,
        < 4 => DemandedKind.Write,
        < 7 => DemandedKind.Read,
        _ => ((shape >> 54) & 1) == 1 ? DemandedKind.WriteZeroes : DemandedKind.Flush,
    };

    private static int SectorsOf(int number, ulong shape)
    {
        int raw = (int)(shape >> 40) & (SectorsMost - 1);
        return ((shape >> 58) & 7) switch
        {
            < 4 => 1,
            < 6 => 1 + (raw & 7),
            6 => 1 + (raw & 31),
            _ => 1 + (number < 2 ? raw : raw & 31),
        };
    }
}
