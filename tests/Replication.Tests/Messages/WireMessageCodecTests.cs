using System.Collections.Immutable;
using System.Reflection;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.LogChannelActors.Tests.Remoting.Tcp;

namespace FtAkka.Replication.Tests.Messages;

public sealed class WireMessageCodecTests
{
    /// <summary>At least one of every message, with extreme values.</summary>
    private static readonly IWireMessage[] Samples =
    [
        new Heartbeat("node-1", 1, 2, 3),
        new Heartbeat(new string('n', Heartbeat.NodeNameMax), long.MaxValue, long.MinValue, -1),
        new VmQuestion("node-1", "vm"),
        new VmAnswer("node-1", new string('v', CloneOffer.NameMax), ReplicaRole.Halted, 0),
        new VmAnswer("node-1", "vm", ReplicaRole.Solo, ulong.MaxValue),
        new SettingsTold("node-1", ""),
        new SettingsTold("node-1", new string('s', SettingsTold.SettingsMax)),
        new LogAppend([], 0, 0),
        new LogAppend([.. Enumerable.Range(0, 5000).Select(i => (byte)i)], 7, ulong.MaxValue),
        new LogAck(0, 0, 0, 0),
        new LogAck(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, long.MinValue),
        new LogAppend([1], 7, 8, 3, 4, 5, -6, 7, true, 9),
        new LogAck(9, 8, 7, 6, 5, 4, long.MinValue, true, true),
        new LogReleased(0),
        new LogReleased(ulong.MaxValue, 1, 2),
        new ChannelClosed(1, 2, ChannelCloseReason.Dropped, ""),
        new ChannelClosed(ulong.MaxValue, 2, ChannelCloseReason.CloneFailed, new string('t', ChannelClosed.TextMax)),
        new FailoverYield(1, 2, 3, ulong.MaxValue),
        new CloneOffer(1, 2, "vm", "node-1", "ftvm64-v1 ram=64M", 1, 4096, 65536, "host-1:4100"),
        new OfferJudged("node-2", "vm", 1, 2, "host-2:4100", ""),
        new OfferJudged("node-2", "vm", 1, ulong.MaxValue, "", new string('t', ChannelClosed.TextMax)),
        new CloneAnswer(1, 2, ""),
        new BackupFitness(1, 2, ""),
        new ReplicaBeat(1, 2, 3),
        new ReplicaBeat(ulong.MaxValue, ulong.MaxValue, long.MaxValue),
        new BackupFitness(1, ulong.MaxValue, new string('t', ChannelClosed.TextMax)),
        new CloneAnswer(1, 2, "another CPU vendor: use a host of the same kind"),
        new ClonePages(1, 2, 3, [.. Enumerable.Range(0, 300).Select(i => (byte)i)]),
        new CloneBlockHashes(1, 2, 3, 1, 16, [.. new byte[32]]),
        new CloneBlocksWanted(1, 2, 3, 0x8001),
        new CloneBlocks(1, 2, 3, 1, [1, 2, 3]),
        new CloneState(1, 2, 3, 5, [1, 2, 3, 4, 5]),
        new CloneState(1, 2, 3, 0, []),
        new CloneFinish(1, 2, 3, 4, 5, ulong.MaxValue),
        new CloneProgress(1, 2, ulong.MaxValue),
        new CloneAssembled(1, 2, 3, 4, 5, ulong.MaxValue),
        new ConsoleHistory(1, 2, 3, [1, 2, 3]),
        new DivergenceWitness(1, 2, 3, 4, "rax=1\nrbx=2", [.. Enumerable.Range(0, 32).Select(i => (byte)i)]),
        new DivergenceWitness(1, 2, 3, ulong.MaxValue, "", []),
        new MessagePiece(long.MaxValue, ulong.MaxValue, "la", 0, 1, [1]),
        new MessagePiece(0, 1, "12345678", MessagePiece.CountMax - 1, MessagePiece.CountMax, [.. new byte[300]]),
    ];

    [Fact]
    public void Bodies_are_hardly_longer_than_the_messages_content()
    {
        foreach (var sample in Samples)
        {
            Assert.InRange(WireMessageCodec.Encode(sample).Length, sample.ContentBytes / 3, sample.ContentBytes + WireMessageCodec.FixedBytesMax);
        }
    }

    [Fact]
    public void Every_wire_message_has_one_row_and_one_sample()
    {
        var declared = typeof(IWireMessage).Assembly.GetTypes()
            .Where(type => typeof(IWireMessage).IsAssignableFrom(type) && !type.IsInterface).ToHashSet();

        Assert.NotEmpty(declared);
        Assert.Equal(declared, WireMessageCodec.Table.Select(row => row.Type).ToHashSet());
        Assert.Equal(declared, Samples.Select(sample => sample.GetType()).ToHashSet());
        Assert.Equal(WireMessageCodec.Table.Length, WireMessageCodec.Table.Select(row => row.Manifest).Distinct().Count());
    }

    [Fact]
    public void Every_message_comes_back_as_it_was()
    {
        foreach (var sample in Samples)
        {
            var (message, refusal) = WireMessageCodec.Decode(WireMessageCodec.ManifestOf(sample), WireMessageCodec.Encode(sample));

            Assert.Equal(WireMessageRefusal.None, refusal);
            AssertSame(sample, message!);
        }
    }

    [Fact]
    public void Encoding_is_pinned()
    {
        // Old logs and nodes of another version hold these bytes: a change here is a change of the format.
        Assert.Equal("94a66e6f64652d31010203", Convert.ToHexStringLower(WireMessageCodec.Encode(new Heartbeat("node-1", 1, 2, 3))));
        Assert.Equal("9ac4020aff050907080a0b0cc30d", Convert.ToHexStringLower(WireMessageCodec.Encode(new LogAppend([10, 255], 5, 9, 7, 8, 10, 11, 12, true, 13))));
        Assert.Equal("99040305ff070809c3c2", Convert.ToHexStringLower(WireMessageCodec.Encode(new LogAck(4, 3, 5, -1, 7, 8, 9, true))));
        Assert.Equal("93cd01000708", Convert.ToHexStringLower(WireMessageCodec.Encode(new LogReleased(256, 7, 8))));
    }

    [Fact]
    public void Unknown_manifest_is_refused()
    {
        var (message, refusal) = WireMessageCodec.Decode("System.String", WireMessageCodec.Encode(new LogReleased(1)));

        Assert.Null(message);
        Assert.Equal(WireMessageRefusal.UnknownManifest, refusal);
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        foreach (var sample in Samples)
        {
            var body = WireMessageCodec.Encode(sample);
            for (var length = 0; length < body.Length; length += Math.Max(1, body.Length / 64))
            {
                var (message, refusal) = WireMessageCodec.Decode(WireMessageCodec.ManifestOf(sample), body.AsMemory(0, length));

                Assert.Null(message);
                Assert.Equal(WireMessageRefusal.Truncated, refusal);
            }
        }
    }

    [Fact]
    public void Bytes_after_the_message_are_refused()
    {
        byte[] body = [.. WireMessageCodec.Encode(new LogReleased(1)), 0];

        Assert.Equal(WireMessageRefusal.TrailingBytes, WireMessageCodec.Decode("lr", body).Refusal);
    }

    [Fact]
    public void Later_scalar_fields_are_skipped_and_nested_ones_refused()
    {
        Assert.Equal(new LogReleased(5), WireMessageCodec.Decode("lr", new byte[] { 0x95, 5, 0, 0, 7, 0xc3 }).Message);
        Assert.Equal(WireMessageRefusal.Malformed, WireMessageCodec.Decode("lr", new byte[] { 0x94, 5, 0, 0, 0x91, 0x91, 0x90 }).Refusal);
        Assert.Equal(WireMessageRefusal.WrongFieldCount, WireMessageCodec.Decode("lr", new byte[] { 0x90 }).Refusal);
        Assert.Equal(WireMessageRefusal.WrongFieldCount,
            WireMessageCodec.Decode("lr", new byte[] { 0xdc, 0, 33 }.Concat(new byte[33]).ToArray()).Refusal);
    }

    [Fact]
    public void Values_that_a_message_does_not_allow_are_refused()
    {
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new LogAppend([], 2, 1)));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new LogAck(1, 2, 0, 0)));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new ChannelClosed(1, 1, 0, "")));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new ChannelClosed(1, 1, ChannelCloseReason.Gone, new string('t', ChannelClosed.TextMax + 1))));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneOffer(1, 2, "", "node", "", 1, 4096, 1)));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneOffer(1, 2, "vm", "node", "", 1, 0, 1)));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneState(1, 2, 3, 1, [1, 2])));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneBlockHashes(1, 2, 3, 0, 0, [.. new byte[17 * 16]])));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneBlockHashes(1, 2, 3, -1, 0, [])));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneBlocks(1, 2, 3, -1, [])));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new CloneState(1, 2, 3, int.MaxValue, [])));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new Heartbeat("", 1, 1, 1)));
        Assert.Equal(WireMessageRefusal.OutOfRange, Decode(new Heartbeat(new string('n', Heartbeat.NodeNameMax + 1), 1, 1, 1)));
        Assert.Equal(WireMessageRefusal.OutOfRange, WireMessageCodec.Decode("la", new byte[] { 0x9a, 0xc0, 1, 1, 0, 0, 0, 0, 0, 0xc2, 0 }).Refusal);   // nil
    }

    [Fact]
    public void A_hundred_thousand_mutated_bodies_give_typed_refusals_or_messages()
    {
        const int Seed = 20261122;
        const int Count = 120_000;
        var random = new Random(Seed);
        var bodies = Samples.Select(sample => (Manifest: WireMessageCodec.ManifestOf(sample), Body: WireMessageCodec.Encode(sample)))
            .Select(sample => (sample.Manifest, Body: sample.Body.Take(64).ToArray())).ToArray();
        var refused = 0;
        for (var i = 0; i < Count; i++)
        {
            var (manifest, original) = bodies[random.Next(bodies.Length)];
            var body = MutatedBytes.Mutate(random, original);

            var (message, refusal) = WireMessageCodec.Decode(manifest, body);

            Assert.True(message is null == (refusal != WireMessageRefusal.None), $"seed {Seed}, body {i}: {Convert.ToHexString(body)}");
            Assert.True(Enum.IsDefined(refusal));
            refused += message is null ? 1 : 0;
        }

        Assert.InRange(refused, Count / 4, Count - 1);
    }

    private static WireMessageRefusal Decode(IWireMessage message) =>
        WireMessageCodec.Decode(WireMessageCodec.ManifestOf(message), WireMessageCodec.Encode(message)).Refusal;

    private static void AssertSame(IWireMessage expected, IWireMessage actual)
    {
        Assert.Equal(expected.GetType(), actual.GetType());
        foreach (var property in expected.GetType().GetProperties(BindingFlags.Instance | BindingFlags.Public))
        {
            if (property.GetValue(expected) is ImmutableArray<byte> bytes)
            {
                Assert.Equal(bytes.AsSpan(), ((ImmutableArray<byte>)property.GetValue(actual)!).AsSpan());
            }
            else
            {
                Assert.Equal(property.GetValue(expected), property.GetValue(actual));
            }
        }
    }
}
