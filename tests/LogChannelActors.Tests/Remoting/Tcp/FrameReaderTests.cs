using System.Buffers.Binary;
using System.Globalization;
using FtAkka.LogChannelActors.Remoting.Tcp;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class FrameReaderTests
{
    private const int Seed = 20261130;
    private const int Maximum = 200_000;

    [Fact]
    public void Frames_come_out_as_they_went_in_however_the_stream_is_cut()
    {
        var random = new Random(Seed);
        int[] sizes = [1, 3, 65_531, 65_532, 65_533, 65_536, 131_072, Maximum, 7, 70_000];
        var units = sizes.Select(size =>
        {
            var unit = new byte[size];
            random.NextBytes(unit);
            return unit;
        }).ToArray();
        byte[] stream = [.. units.SelectMany(unit => Frame(unit).Concat(Signal(FrameKind.Ping)))];

        foreach (var piece in (int[])[1, 1000, 16_384, int.MaxValue])
        {
            var reader = new FrameReader(new Pieces(stream, piece, random), Maximum);
            foreach (var unit in units)
            {
                Assert.Equal(FrameKind.Unit, reader.Next(out var read));
                Assert.Equal(unit, read);
                Assert.Equal(FrameKind.Ping, reader.Next(out _));
            }

            Assert.Equal(FrameKind.End, reader.Next(out _));
        }
    }

    /// <summary>More inputs: set FTAKKA_FUZZ_INPUTS, say to 10000000.</summary>
    [Fact]
    public void Hostile_streams_give_frames_within_the_limit_and_then_an_end_and_never_an_exception()
    {
        var inputs = int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_FUZZ_INPUTS"), CultureInfo.InvariantCulture, out var wanted) ? wanted : 300_000;
        var random = new Random(Seed);
        byte[] honest = [.. Frame("a unit"u8.ToArray()), .. Signal(FrameKind.Pong), .. Frame(new byte[40]), .. Signal(FrameKind.OpenBulk), .. Frame([1])];
        var (refused, ended, units) = (0, 0, 0L);
        var pieces = new Pieces([], 1, random);
        for (var i = 0; i < inputs; i += 500)
        {
            // One reader's buffer for many inputs would hide leftovers; one for each would measure the allocator.
            for (var n = 0; n < 500; n++)
            {
                pieces.Load(MutatedBytes.Mutate(random, honest), random.Next(1, 30));
                var reader = new FrameReader(pieces, 64, bufferBytes: 128);
                FrameKind kind;
                while ((kind = reader.Next(out var unit)) is not (FrameKind.End or FrameKind.Refused))
                {
                    Assert.InRange(unit.Length, 0, 64);
                    units += unit.Length > 0 ? 1 : 0;
                }

                refused += kind == FrameKind.Refused ? 1 : 0;
                ended += kind == FrameKind.End ? 1 : 0;
            }
        }

        Assert.True(refused > inputs / 20 && ended > inputs / 20 && units > inputs / 2, $"seed {Seed}: {refused} refused, {ended} ended, {units} units");
    }

    [Fact]
    public void Hostile_greetings_are_read_without_exceptions_and_only_the_right_one_is_taken()
    {
        var random = new Random(Seed);
        var token = Greeting.NewToken();
        var cluster = Greeting.MarkOf("a cluster");
        var honest = Greeting.Write(Lane.Bulk, token, cluster);
        Assert.True(Greeting.TryRead(honest, out var lane, out var read, out var readCluster));
        Assert.Equal((Lane.Bulk, token, cluster), (lane, read, readCluster));
        var taken = 0;

        for (var i = 0; i < 200_000; i++)
        {
            var bytes = MutatedBytes.Mutate(random, honest);
            Array.Resize(ref bytes, Greeting.Bytes);
            taken += Greeting.TryRead(bytes, out _, out _, out var changed) && changed == cluster ? 1 : 0;
            Array.Resize(ref bytes, Greeting.AnswerBytes);
            Greeting.ReadAnswer(bytes);
        }

        Assert.InRange(taken, 1, 150_000);   // a changed token is another token
    }

    private static byte[] Frame(byte[] unit) => [.. BitConverter.GetBytes(unit.Length), .. unit];

    private static byte[] Signal(FrameKind kind)
    {
        var word = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, FrameFormat.Signal(kind));
        return word;
    }

    /// <summary>A stream that gives at most so many bytes at a time.</summary>
    private sealed class Pieces(byte[] stream, int piece, Random random) : IByteSource
    {
        private byte[] _stream = stream;
        private int _piece = piece;
        private int _at;

        public void Load(byte[] bytes, int most) => (_stream, _piece, _at) = (bytes, most, 0);

        public int Read(byte[] buffer, int offset, int count)
        {
            var some = Math.Min(Math.Min(count, _stream.Length - _at), _piece > 1000 ? _piece : random.Next(1, _piece + 1));
            _stream.AsSpan(_at, some).CopyTo(buffer.AsSpan(offset));
            _at += some;
            return some;
        }
    }
}
