using System.Collections.Immutable;
using System.Text;
using FtAkka.Actors.Machines;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Tests.Machines;

public sealed class DeviceLinksTests
{
    private static ConsoleOutput Serial(ulong icount, ulong offset, string text) =>
        new(icount, ConsoleKind.Serial, offset, [.. Encoding.ASCII.GetBytes(text)]);

    [Fact]
    public void Console_output_is_joined_where_it_follows_on_one_another_and_only_there()
    {
        MachineEffect frame = new NetTransmit(3, 0, []);
        MachineEffect[] joined =
        [
            .. DeviceLinks.JoinConsoleOutput(
            [
                Serial(1, 0, "a"), Serial(2, 1, "b"), frame, Serial(4, 2, "c"), Serial(5, 9, "gap"),
                new ConsoleOutput(6, ConsoleKind.Virtio, 12, [1]),
            ]),
        ];
        Assert.Equal(5, joined.Length);
        AssertOutput(joined[0], 2, 0, "ab");
        Assert.Same(frame, joined[1]);
        AssertOutput(joined[2], 4, 2, "c");
        AssertOutput(joined[3], 5, 9, "gap");
        Assert.Equal(ConsoleKind.Virtio, ((ConsoleOutput)joined[4]).Console);
    }

    [Fact]
    public void Backlog_of_a_console_counts_from_the_first_output_that_is_seen_and_for_each_console_alone()
    {
        var backlog = new ConsoleBacklog();
        byte[] piece = new byte[ConsoleBacklog.BytesMax - 1];
        backlog.Taken(ConsoleKind.Virtio, 1_000_000);
        backlog.Sent(new ConsoleOutput(1, ConsoleKind.Serial, 7_000_000_000, [.. piece]));
        Assert.False(backlog.IsFull);
        backlog.Sent(new ConsoleOutput(2, ConsoleKind.Virtio, 1_000_000, [1]));
        Assert.False(backlog.IsFull);
        backlog.Sent(new ConsoleOutput(3, ConsoleKind.Serial, 7_000_000_000 + ConsoleBacklog.BytesMax - 1, [1]));
        Assert.True(backlog.IsFull);
        backlog.Taken(ConsoleKind.Virtio, 1_000_001);
        Assert.True(backlog.IsFull);
        backlog.Taken(ConsoleKind.Serial, 7_000_000_001);
        Assert.False(backlog.IsFull);
    }

    [Fact]
    public void Typed_text_is_cut_to_the_room_there_is_and_acknowledged_when_all_of_it_is_in()
    {
        var held = new HeldConsoleInput();
        int receipts = 0;
        held.Add(new ConsoleInput(ConsoleKind.Serial, [1, 2, 3, 4, 5]), () => receipts++);
        held.Add(new ConsoleInput(ConsoleKind.Serial, [6]), null);
        Assert.False(held.TryTake(0, out _, out _));
        List<byte> taken = [];
        int pieces = 0;
        while (held.TryTake(2, out ConsoleInput? piece, out Action? receipt))
        {
            taken.AddRange(piece.Bytes);
            receipt?.Invoke();
            pieces++;
            Assert.Equal(taken.Count >= 5 ? 1 : 0, receipts);
        }
        Assert.Equal([1, 2, 3, 4, 5, 6], taken);
        Assert.Equal(4, pieces);
        Assert.True(held.IsEmpty);
    }

    private static void AssertOutput(MachineEffect effect, ulong icount, ulong offset, string text)
    {
        ConsoleOutput output = Assert.IsType<ConsoleOutput>(effect);
        Assert.Equal((icount, offset), (output.Icount, output.StreamOffset));
        Assert.Equal(text, Encoding.ASCII.GetString(output.Bytes.AsSpan()));
    }
}
