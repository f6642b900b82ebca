using System.Collections.Immutable;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>Frames on a byte stream, and the announcement of a MAC address.</summary>
public sealed class FramingTests
{
    private static ImmutableArray<byte> Frame(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 5) + seed))];

    [Fact]
    public void Frame_is_preceded_by_its_length_in_big_endian() =>
        Assert.Equal([0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9], StreamFraming.Encode([[7, 8], [9]]));

    [Fact]
    public void Frames_come_back_however_the_stream_is_cut()
    {
        for (int seed = 1; seed <= 50; seed++)
        {
            var random = new Random(seed);
            ImmutableArray<byte>[] frames = [.. Enumerable.Range(0, 200).Select(i => Frame(random.Next(1, random.Next(20) == 0 ? 65599 : 2000), i))];
            byte[] stream = StreamFraming.Encode([.. frames]);
            var framing = new StreamFraming();
            var got = new List<byte[]>();
            for (int at = 0; at < stream.Length;)
            {
                Memory<byte> room = framing.Room();
                int piece = Math.Min(Math.Min(random.Next(1, 100_000), room.Length), stream.Length - at);
                stream.AsSpan(at, piece).CopyTo(room.Span);
                framing.Advance(piece);
                at += piece;
                while (framing.TryTake(out ImmutableArray<byte> frame, out bool broken))
                {
                    Assert.False(broken);
                    got.Add([.. frame]);
                }
            }
            Assert.True(frames.Length == got.Count && frames.Zip(got).All(p => p.First.AsSpan().SequenceEqual(p.Second)), $"seed {seed}");
        }
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(65600u)]
    [InlineData(0xFFFF_FFFFu)]
    public void Impossible_length_breaks_the_stream(uint length)
    {
        var framing = new StreamFraming();
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(framing.Room().Span, length);
        framing.Advance(4);
        Assert.False(framing.TryTake(out _, out bool broken));
        Assert.True(broken);
        framing.Reset();
        Assert.False(framing.TryTake(out _, out broken));
        Assert.False(broken);
    }

    [Fact]
    public void Rfc_903_announcement_is_a_broadcast_reverse_request_for_the_address()
    {
        byte[] frame = [.. RarpAnnouncement.Build([0x52, 0x54, 0, 1, 2, 3])];
        Assert.Equal(60, frame.Length);
        Assert.Equal([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x52, 0x54, 0, 1, 2, 3, 0x80, 0x35], frame[..14]);
        Assert.Equal([0, 1, 8, 0, 6, 4, 0, 3], frame[14..22]);
        Assert.Equal([0x52, 0x54, 0, 1, 2, 3, 0, 0, 0, 0, 0x52, 0x54, 0, 1, 2, 3, 0, 0, 0, 0], frame[22..42]);
    }
}
