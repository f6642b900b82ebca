namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Makes units from honest ones by damage, and from nothing. The same seed gives the same units.</summary>
internal sealed class UnitMutator(int seed)
{
    private const int Longest = 4096;
    private const int MostNesting = 200;

    private static readonly string[] Recipients =
        [Guards.Ours + "/user/node", Guards.Ours + "/temp/replica-x", Guards.Ours + "/user/node#17", Guards.Ours + "/", Guards.Ours + "/remote", Guards.Ours + "/user/node/../x"];

    private static readonly string?[] Senders = [null, Guards.Theirs + "/user/node#3", Guards.Theirs + "/temp/$a", Guards.Ours + "/user/node", "akka.tcp://ft@host-c:4053/user/x"];

    private static readonly byte[][] Honest = [.. MakeHonest()];

    private readonly Random random = new(seed);
    private readonly byte[] buffer = new byte[Longest];
    private readonly byte[] copy = new byte[Longest];
    private int length;

    /// <summary>The next unit; valid until the one after it is made.</summary>
    public ReadOnlySpan<byte> Next()
    {
        switch (random.Next(16))
        {
            case 0:
                length = random.Next(256);
                random.NextBytes(buffer.AsSpan(0, length));
                break;
            case 1:
                Take(Honest[random.Next(Honest.Length)]);
                break;
            case 2:
                Take(MakeByFields());
                break;
            case 3:
                Take(Honest[random.Next(Honest.Length)]);
                Nest();
                break;
            default:
                Take(Honest[random.Next(Honest.Length)]);
                for (var times = random.Next(1, 4); times > 0; times--)
                {
                    Damage();
                }

                break;
        }

        return buffer.AsSpan(0, length);
    }

    private static IEnumerable<byte[]> MakeHonest()
    {
        var ours = Pdus.Message(Pdus.Wire, "la", [0x95, 1, 2, 3, 4, 5]);
        yield return Pdus.Associate("ft", "host-a", 4053);
        yield return Pdus.Associate("vm-1", "10.0.0.1", 4100);
        yield return Pdus.Heartbeat;
        yield return Pdus.Control(2);
        yield return Pdus.Tell(Recipients[0], Senders[1]);
        yield return Pdus.Tell(Recipients[1]);
        yield return Pdus.Container(null, Pdus.Envelope(Recipients[0], Pdus.Message(Pdus.Wire, "lb", new byte[1500]), Senders[1]));
        yield return Pdus.Container(new ProtoWriter().Fixed(1, 9).Block(2, new byte[64]), Pdus.Envelope(Recipients[1], ours, null));
        yield return Pdus.Container(new ProtoWriter().Fixed(1, 9), null);
        yield return Pdus.Select(Recipients[3], ours, (2, "user"), (2, "node"));
        yield return Pdus.Container(null, Pdus.Envelope(Recipients[0], Pdus.Message(16, "ID", new ProtoWriter().Block(1, ours).ToArray()), Senders[1]));
    }

    private byte[] MakeByFields()
    {
        ProtoWriter message = new(), envelope = new(), container = new();
        int[] serializers = [711, 711, 711, 16, 6, 22, 1, -5, 0];
        string[] manifests = ["la", "lb", "PP", "K", "ID", ""];
        for (var fields = random.Next(1, 5); fields > 0; fields--)
        {
            _ = random.Next(3) switch
            {
                0 => message.Block(1, new byte[random.Next(8)]),
                1 => message.Number(2, serializers[random.Next(serializers.Length)]),
                _ => message.Text(3, manifests[random.Next(manifests.Length)]),
            };
        }

        envelope.Block(1, Pdus.Path(Recipients[random.Next(Recipients.Length)])).Block(2, message);
        if (Senders[random.Next(Senders.Length)] is { } sender)
        {
            envelope.Block(4, Pdus.Path(sender));
        }

        envelope.Fixed(5, random.Next(4) == 0 ? (ulong)random.Next() : ulong.MaxValue);
        if (random.Next(8) == 0)
        {
            envelope.Block(random.Next(1, 8), Pdus.Path(Recipients[0]));
        }

        return Pdus.Payload(container.Block(2, envelope));
    }

    private void Take(ReadOnlySpan<byte> unit)
    {
        unit.CopyTo(buffer);
        length = unit.Length;
    }

    private void Damage()
    {
        var at = random.Next(length + 1);
        switch (random.Next(8))
        {
            case 0 when at < length:
                buffer[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < length:
                buffer[at] = (byte)random.Next(256);
                break;
            case 2:
                length = at;
                break;
            case 3:
                Replace(at, 0, Some(random.Next(1, 9)));
                break;
            case 4:
                Replace(at, random.Next(Math.Min(16, length - at) + 1), []);
                break;
            case 5:
                Replace(at, 0, buffer.AsSpan(at, random.Next(length - at + 1)).ToArray());
                break;
            case 6:
                // A length or number up to the largest, padded ones among them.
                Replace(at, Math.Min(1, length - at), [.. Enumerable.Repeat((byte)0xFF, random.Next(1, 12)), (byte)random.Next(128)]);
                break;
            default:
                var other = Honest[random.Next(Honest.Length)];
                var from = random.Next(other.Length);
                Replace(at, length - at, other.AsSpan(from));
                break;
        }
    }

    // Every level but the innermost is a message with one field of bytes.
    private void Nest()
    {
        var field = (byte)((random.Next(1, 6) << 3) | 2);
        for (var levels = random.Next(1, MostNesting); levels > 0 && length + 4 < Longest; levels--)
        {
            Replace(0, 0, new ProtoWriter().Bytes(field).Raw((ulong)length).ToArray());
        }
    }

    private byte[] Some(int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private void Replace(int at, int removed, ReadOnlySpan<byte> added)
    {
        var rest = length - at - removed;
        if (at + added.Length + rest > Longest)
        {
            return;
        }

        buffer.AsSpan(at + removed, rest).CopyTo(copy);
        added.CopyTo(buffer.AsSpan(at));
        copy.AsSpan(0, rest).CopyTo(buffer.AsSpan(at + added.Length));
        length = at + added.Length + rest;
    }
}
