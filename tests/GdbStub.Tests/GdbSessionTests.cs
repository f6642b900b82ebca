using System.Buffers.Binary;
using System.Text;
using FtAkka.Cpu.Debugging;

namespace FtAkka.GdbStub.Tests;

/// <summary>gdb's remote serial protocol, without gdb and without a machine.</summary>
public sealed class GdbSessionTests
{
    private sealed class Target : IDebugTarget
    {
        public byte[] Memory { get; } = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];

        public List<string> Calls { get; } = [];

        public DebugStop Next { get; set; } = new(DebugStopKind.Step);

        public bool Reversible { get; init; } = true;

        public CpuRegisters Registers { get; } = new()
        {
            General = [.. Enumerable.Range(0, 16).Select(i => 0x1000UL + (ulong)i)],
            Rip = 0xFFFF_FFFF_8000_1234,
            Rflags = 0x246,
            Cpl = 0,
            Segments = [.. Enumerable.Range(0, 6).Select(i => new SegmentView((ushort)(0x10 + i), (ulong)i << 32))],
            KernelGsBase = 1,
            Cr0 = 0x8000_0001,
            Cr2 = 2,
            Cr3 = 3,
            Cr4 = 4,
            Cr8 = 8,
            Efer = 0x500,
            Mxcsr = 0x1F80,
            X87Stack = [.. new byte[80]],
            X87Control = 0x37F,
            X87Status = 0,
            X87Tags = 1,
            Xmm = [.. Enumerable.Range(0, 256).Select(i => (byte)i)],
            Halted = false,
        };

        public ulong Icount => 42;

        public bool CanReverse => Reversible;

        public string? WhyReadOnly { get; init; }

        public int ReadMemory(ulong address, Span<byte> destination)
        {
            int count = address >= (ulong)Memory.Length ? 0 : Math.Min(destination.Length, Memory.Length - (int)address);
            Memory.AsSpan((int)Math.Min(address, (ulong)Memory.Length), count).CopyTo(destination);
            return count;
        }

        public bool WriteMemory(ulong address, ReadOnlySpan<byte> source)
        {
            if (address + (ulong)source.Length > (ulong)Memory.Length)
            {
                return false;
            }
            source.CopyTo(Memory.AsSpan((int)address));
            return true;
        }

        public void WriteRegister(int number, ulong value) => Calls.Add($"write {number} {value:x}");

        public bool SetStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<LinearWatchpoint> watchpoints)
        {
            Calls.Add($"stops {string.Join(' ', breakpoints.Select(b => b.ToString("x")))} | {string.Join(' ', watchpoints.Select(w => $"{w.Address:x}+{w.LengthBytes}{(w.OnRead ? "r" : "")}{(w.OnWrite ? "w" : "")}"))}");
            return watchpoints.All(watchpoint => watchpoint.Address < 0x1000);
        }

        public DebugStop Step() => Move("step");

        public DebugStop Continue() => Move("continue");

        public DebugStop ReverseStep() => Move("back step");

        public DebugStop ReverseContinue() => Move("back");

        public DebugStop? Seek(ulong icount) => Move($"seek {icount}");

        public void Detach() => Calls.Add("detach");

        public void Kill() => Calls.Add("kill");

        private DebugStop Move(string how)
        {
            Calls.Add(how);
            return Next;
        }
    }

    private readonly Target target = new();

    private string? Ask(string packet) => Ask(new GdbSession(target), packet);

    private static string? Ask(GdbSession session, string packet) => session.Handle(Encoding.Latin1.GetBytes(packet));

    [Fact]
    public void Packets_come_apart_and_damaged_ones_are_asked_for_again()
    {
        byte[] odd = [.. "a#b$c}d*e"u8];
        var reader = new GdbPacketReader();
        byte[] stream = [.. "+"u8, .. GdbPacketReader.Frame(odd), 3, .. "$g#00"u8, .. "-"u8, .. GdbPacketReader.Frame("g"u8)];
        GdbInput[] inputs = [.. stream.Select(value => reader.Take(value)).Where(input => input is not null).Select(input => input!.Value)];
        Assert.Equal(
            [GdbInputKind.Packet, GdbInputKind.Interrupt, GdbInputKind.BadPacket, GdbInputKind.Resend, GdbInputKind.Packet],
            inputs.Select(input => input.Kind));
        Assert.Equal(odd, inputs[0].Payload);
        Assert.Equal("$g#67", Encoding.ASCII.GetString(GdbPacketReader.Frame("g"u8)));
    }

    [Fact]
    public void Random_bytes_never_throw_and_never_grow_without_bound()
    {
        var random = new Random(9);
        var session = new GdbSession(target);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] packet = new byte[random.Next(0, 24)];
            random.NextBytes(packet);
            if (packet.Length > 0)
            {
                packet[0] = (byte)"?gGpPmMXcsbZzHTqQv"[random.Next(18)];
            }
            _ = session.Handle(packet);
        }
        var reader = new GdbPacketReader();
        reader.Take((byte)'$');
        for (int i = 0; i < 200_000; i++)
        {
            Assert.Null(reader.Take((byte)'x'));
        }
    }

    [Fact]
    public void Registers_are_in_the_order_of_the_description()
    {
        string all = Ask("g")!;
        // rax rbx rcx rdx: gdb's order is not that of the encoding.
        Assert.StartsWith(Little(0x1000) + Little(0x1003) + Little(0x1001) + Little(0x1002), all, StringComparison.Ordinal);
        Assert.Equal(Little(0xFFFF_FFFF_8000_1234), Ask("p10"));
        Assert.Equal("46020000", Ask("p11"));
        string xml = Ask("qXfer:features:read:target.xml:0,ffff")!;
        Assert.StartsWith("l<?xml", xml, StringComparison.Ordinal);
        string[] names = [.. xml.Split("<reg name=\"").Skip(1).Select(part => part.Split('"')[0])];
        int[] bits = [.. xml.Split("bitsize=\"").Skip(1).Select(part => int.Parse(part.Split('"')[0], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(["rip", "eflags", "cs"], names[16..19]);
        Assert.Equal(["xmm0", "mxcsr", "fs_base"], [names[40], names[56], names[57]]);
        Assert.Equal(all.Length, bits.Sum() / 4);
        Assert.Equal(Little(42), Ask($"p{Array.IndexOf(names, "icount"):x}"));
        Assert.Equal("m" + xml[1..11], Ask("qXfer:features:read:target.xml:0,a"));
        Assert.Equal("l", Ask("qXfer:features:read:target.xml:fffff,a"));
    }

    [Fact]
    public void Memory_is_read_as_far_as_it_goes_and_written_whole()
    {
        Assert.Equal("0a0b0c", Ask("ma,3"));
        Assert.Equal("feff", Ask("mfe,10"));
        Assert.Equal("E0e", Ask("m100,1"));
        Assert.Equal("OK", Ask("M10,2:aabb"));
        Assert.Equal("OK", Ask("X12,1:\x7d"));
        Assert.Equal("aabb7d", Ask("m10,3"));
        Assert.Equal("E0e", Ask("Mff,2:0000"));
        Assert.Equal("E01", Ask("M10,2:aa"));
        Assert.Equal("E01", Ask("mzz,1"));
    }

    [Fact]
    public void What_must_not_change_is_not_changed()
    {
        var frozen = new Target { WhyReadOnly = "no" };
        var session = new GdbSession(frozen);
        Assert.Equal("E.no", Ask(session, "M10,1:00"));
        Assert.Equal("E.no", Ask(session, "P0=0000000000000000"));
        Assert.Equal("E.no", Ask(session, "G00"));
        Assert.Equal("E.no", Ask(session, "c1000"));
        Assert.Equal(0x10, frozen.Memory[0x10]);
        Assert.Empty(frozen.Calls);
    }

    [Fact]
    public void Registers_are_written_by_their_encoding()
    {
        Assert.Equal("OK", Ask("P1=" + Little(7)));
        Assert.Equal("OK", Ask("P10=" + Little(8)));
        Assert.StartsWith("E.", Ask("P11=00000000"), StringComparison.Ordinal);
        Assert.Equal(["write 3 7", "write 16 8"], target.Calls);
    }

    [Fact]
    public void Stops_are_set_and_taken_away()
    {
        var session = new GdbSession(target);
        Assert.Equal("OK", Ask(session, "Z0,1000,1"));
        Assert.Equal("OK", Ask(session, "Z1,2000,1"));
        Assert.Equal("OK", Ask(session, "Z2,20,8"));
        Assert.Equal("OK", Ask(session, "Z4,28,4"));
        Assert.StartsWith("E.", Ask(session, "Z2,9999,4"), StringComparison.Ordinal);
        Assert.Equal("OK", Ask(session, "z0,1000,1"));
        Assert.Equal("OK", Ask(session, "z2,20,8"));
        Assert.Equal("", Ask(session, "Z7,0,1"));
        Assert.Equal("stops 1000 2000 | 20+8w 28+4rw", target.Calls[3]);
        Assert.Equal("stops 2000 | 28+4rw", target.Calls[^1]);
        Assert.Equal("OK", Ask(session, "D"));
        Assert.Equal(["stops  | ", "detach"], target.Calls[^2..]);
        Assert.True(session.IsOver);
    }

    [Theory]
    [InlineData("c", "continue")]
    [InlineData("s", "step")]
    [InlineData("bs", "back step")]
    [InlineData("bc", "back")]
    [InlineData("vCont;c", "continue")]
    [InlineData("vCont;s:1;c", "step")]
    public void Movements(string packet, string call)
    {
        Assert.Equal("T05thread:01;", Ask(packet));
        Assert.Equal([call], target.Calls);
    }

    [Theory]
    [InlineData(nameof(DebugStopKind.Watchpoint), "T05thread:01;watch:ff20;")]
    [InlineData(nameof(DebugStopKind.Interrupt), "T02thread:01;")]
    [InlineData(nameof(DebugStopKind.HistoryStart), "T05thread:01;replaylog:begin;")]
    [InlineData(nameof(DebugStopKind.HistoryEnd), "T05thread:01;replaylog:end;")]
    [InlineData(nameof(DebugStopKind.Ended), "W00")]
    public void Reasons_to_stop(string kind, string reply)
    {
        target.Next = new DebugStop(Enum.Parse<DebugStopKind>(kind), 0xFF20, WatchWrite: true);
        Assert.Equal(reply, Ask("c"));
    }

    [Fact]
    public void Target_without_a_past_does_not_offer_one()
    {
        var live = new Target { Reversible = false };
        Assert.DoesNotContain("Reverse", Ask(new GdbSession(live), "qSupported:x"), StringComparison.Ordinal);
        Assert.Equal("", Ask(new GdbSession(live), "bs"));
        Assert.Contains("ReverseStep+;ReverseContinue+", Ask("qSupported:x"), StringComparison.Ordinal);
        Assert.Empty(live.Calls);
    }

    [Fact]
    public void Monitor_tells_and_seeks()
    {
        Assert.Contains("icount 42", Monitor("icount"), StringComparison.Ordinal);
        Monitor("seek 1000");
        Assert.Equal(["seek 1000"], target.Calls);
        Assert.Contains("monitor seek", Monitor("help"), StringComparison.Ordinal);
    }

    private string Monitor(string command) =>
        Encoding.ASCII.GetString(Convert.FromHexString(Ask("qRcmd," + Convert.ToHexStringLower(Encoding.ASCII.GetBytes(command)))!));

    private static string Little(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return Convert.ToHexStringLower(bytes);
    }
}
