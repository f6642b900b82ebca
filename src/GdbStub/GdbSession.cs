using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace FtAkka.GdbStub;

/// <summary>
/// The stub's side of gdb's remote serial protocol, packet by packet (GDB manual, "Packets" and following): registers, memory, breakpoints,
/// watchpoints, stepping and continuing in both directions. Pure: bytes and sockets are others' business.
/// </summary>
internal sealed class GdbSession
{
    private const int MemoryBytesMax = 8 << 10;
    private const string NoSuch = "";
    private const string Ok = "OK";
    private const string Malformed = "E01";
    private const string BadAddress = "E0e";

    private readonly IDebugTarget _target;
    private readonly SortedSet<ulong> _breakpoints = [];
    private readonly SortedDictionary<(ulong Address, int Length, char Type), LinearWatchpoint> _watchpoints = [];

    public GdbSession(IDebugTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        _target = target;
    }

    /// <summary>Whether packets are still acknowledged with a plus; gdb may switch that off.</summary>
    public bool Acknowledges { get; private set; } = true;

    /// <summary>The debugger has detached, or killed the target: the connection ends.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Answers a packet; null: it has no answer.</summary>
    public string? Handle(ReadOnlySpan<byte> packet)
    {
        string text = Encoding.Latin1.GetString(packet);
        if (text.Length == 0)
            return NoSuch;
        return text[0] switch
        {
            '?' => "T05thread:01;",
            'g' => Hex.Of(AllRegisters()),
            'G' => WriteAll(text[1..]),
            'p' => ReadRegister(text[1..]),
            'P' => WriteRegister(text[1..]),
            'm' => ReadMemory(text[1..]),
            'M' => WriteMemory(text[1..], binary: false),
            'X' => WriteMemory(text[1..], binary: true),
            'c' or 'C' => Resume(text, _target.Continue),
            's' or 'S' => Resume(text, _target.Step),
            'b' => Backward(text),
            'Z' => SetStop(text, insert: true),
            'z' => SetStop(text, insert: false),
            'H' or 'T' => Ok,
            'D' => Leave(_target.Detach),
            'k' => Kill(),
            'q' or 'Q' or 'v' => Query(text),
            _ => NoSuch,
        };
    }

    private string? Kill()
    {
        Leave(_target.Kill);
        return null;
    }

    private string Leave(Action leave)
    {
        _breakpoints.Clear();
        _watchpoints.Clear();
        _target.SetStops(_breakpoints, []);
        leave();
        IsOver = true;
        return Ok;
    }

    private string Query(string text)
    {
        string name = text.Split(':', ';', ',')[0];
        switch (name)
        {
            case "qSupported":
                string reverse = _target.CanReverse ? "ReverseStep+;ReverseContinue+;" : "";
                return $"PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;vContSupported+;{reverse}";
            case "QStartNoAckMode":
                Acknowledges = false;
                return Ok;
            case "qXfer":
                return Transfer(text);
            case "qAttached":
                return "1";
            case "qC":
                return "QC1";
            case "qfThreadInfo":
                return "m1";
            case "qsThreadInfo":
                return "l";
            case "qSymbol":
                return Ok;
            case "qRcmd":
                return Monitor(text["qRcmd,".Length..]);
            case "vCont?":
                return "vCont;c;C;s;S";
            case "vCont":
                return Resume(text, text.Contains(";s", StringComparison.OrdinalIgnoreCase) ? _target.Step : _target.Continue);
            case "vKill":
                return Leave(_target.Kill);
            default:
                return NoSuch;
        }
    }

    private static string Transfer(string text)
    {
        const string prefix = "qXfer:features:read:target.xml:";
        if (!text.StartsWith(prefix, StringComparison.Ordinal))
            return NoSuch;
        string[] range = text[prefix.Length..].Split(',');
        if (range.Length != 2 || !Hex.TryNumber(range[0], out ulong offset) || !Hex.TryNumber(range[1], out ulong length))
            return Malformed;
        string xml = GdbRegisters.TargetXml;
        int start = (int)Math.Min(offset, (ulong)xml.Length);
        int count = (int)Math.Min(length, (ulong)(xml.Length - start));
        return string.Concat(start + count == xml.Length ? "l" : "m", xml.AsSpan(start, count));
    }

    private byte[] AllRegisters()
    {
        var registers = _target.Registers;
        ulong icount = _target.Icount;
        return [.. GdbRegisters.All.SelectMany(register => register.Read(registers, icount))];
    }

    private string ReadRegister(string text) =>
        Hex.TryNumber(text, out ulong number) && number < (ulong)GdbRegisters.All.Length
            ? Hex.Of(GdbRegisters.All[(int)number].Read(_target.Registers, _target.Icount)) : Malformed;

    private string WriteRegister(string text)
    {
        string[] parts = text.Split('=');
        if (parts.Length != 2 || !Hex.TryNumber(parts[0], out ulong number) || number >= (ulong)GdbRegisters.All.Length || Hex.TryBytes(parts[1]) is not { } bytes)
            return Malformed;
        if (_target.WhyReadOnly is { } reason)
            return $"E.{reason}";
        if (GdbRegisters.All[(int)number].Writable is not { } writable || bytes.Length != 8)
            return $"E.{GdbRegisters.All[(int)number].Name} cannot be written";
        _target.WriteRegister(writable, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        return Ok;
    }

    private string WriteAll(string text)
    {
        if (Hex.TryBytes(text) is not { } bytes)
            return Malformed;
        if (_target.WhyReadOnly is { } reason)
            return $"E.{reason}";
        int offset = 0;
        foreach (var register in GdbRegisters.All)
        {
            if (register.Writable is { } number && offset + 8 <= bytes.Length)
                _target.WriteRegister(number, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(offset)));
            offset += register.Bits / 8;
        }
        return Ok;
    }

    private string ReadMemory(string text)
    {
        string[] parts = text.Split(',');
        if (parts.Length != 2 || !Hex.TryNumber(parts[0], out ulong address) || !Hex.TryNumber(parts[1], out ulong length))
            return Malformed;
        var bytes = new byte[Math.Min(length, MemoryBytesMax)];
        int read = _target.ReadMemory(address, bytes);
        return read == 0 && length != 0 ? BadAddress : Hex.Of(bytes.AsSpan(0, read));
    }

    private string WriteMemory(string text, bool binary)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string[] parts = colon < 0 ? [] : text[..colon].Split(',');
        if (parts.Length != 2 || !Hex.TryNumber(parts[0], out ulong address) || !Hex.TryNumber(parts[1], out ulong length))
            return Malformed;
        byte[]? bytes = binary ? Encoding.Latin1.GetBytes(text[(colon + 1)..]) : Hex.TryBytes(text[(colon + 1)..]);
        if (bytes is null || (ulong)bytes.Length != length)
            return Malformed;
        if (length == 0)
            return Ok;
        if (_target.WhyReadOnly is { } reason)
            return $"E.{reason}";
        return _target.WriteMemory(address, bytes) ? Ok : BadAddress;
    }

    private string SetStop(string text, bool insert)
    {
        string[] parts = text[1..].Split(',', ';');
        if (parts.Length < 3 || parts[0].Length != 1 || !Hex.TryNumber(parts[1], out ulong address) || !Hex.TryNumber(parts[2], out ulong length))
            return Malformed;
        char type = parts[0][0];
        switch (type)
        {
            case '0' or '1':
                _ = insert ? _breakpoints.Add(address) : _breakpoints.Remove(address);
                break;
            case '2' or '3' or '4' when length is >= 1 and <= 4096:
                var key = (address, (int)length, type);
                if (insert)
                    _watchpoints[key] = new LinearWatchpoint(address, (int)length, OnRead: type != '2', OnWrite: type != '3');
                else
                    _watchpoints.Remove(key);
                if (!_target.SetStops(_breakpoints, [.. _watchpoints.Values]))
                {
                    _watchpoints.Remove(key);
                    return "E.these bytes are not mapped to RAM now, and cannot be watched";
                }
                return Ok;
            default:
                return NoSuch;
        }
        _target.SetStops(_breakpoints, [.. _watchpoints.Values]);
        return Ok;
    }

    private string Resume(string text, Func<DebugStop> move)
    {
        // "c ADDR" and "s ADDR" would move RIP first.
        if (text.Length > 1 && text[0] is 'c' or 's' && Hex.TryNumber(text.AsSpan(1), out ulong rip))
        {
            if (_target.WhyReadOnly is { } reason)
                return $"E.{reason}";
            _target.WriteRegister(16, rip);
        }
        return Text(move());
    }

    private string Backward(string text) => !_target.CanReverse ? NoSuch : text switch
    {
        "bs" => Text(_target.ReverseStep()),
        "bc" => Text(_target.ReverseContinue()),
        _ => NoSuch,
    };

    private static string Text(DebugStop stop) => stop.Kind switch
    {
        DebugStopKind.Watchpoint => string.Create(CultureInfo.InvariantCulture, $"T05thread:01;{(stop.WatchWrite ? "watch" : "rwatch")}:{stop.WatchAddress:x};"),
        DebugStopKind.Interrupt => "T02thread:01;",
        DebugStopKind.HistoryStart => "T05thread:01;replaylog:begin;",
        DebugStopKind.HistoryEnd => "T05thread:01;replaylog:end;",
        DebugStopKind.Crash => "T0bthread:01;",
        DebugStopKind.Ended => "W00",
        _ => "T05thread:01;",
    };

    private string Monitor(string hex)
    {
        string[] words = Hex.TryBytes(hex) is { } bytes ? Encoding.UTF8.GetString(bytes).Split(' ', StringSplitOptions.RemoveEmptyEntries) : [];
        string answer = words switch
        {
            ["icount"] => string.Create(CultureInfo.InvariantCulture, $"icount {_target.Icount}\n"),
            ["seek", var number] when ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong icount) =>
                _target.Seek(icount) is null ? "only a replay can go to an icount\n"
                : string.Create(CultureInfo.InvariantCulture, $"now at icount {_target.Icount}; gdb knows after 'maintenance flush register-cache'\n"),
            _ => "monitor icount          says how many instructions have retired\nmonitor seek ICOUNT     goes to an icount, forward or back\n",
        };
        return Hex.OfText(answer);
    }
}
