using System.Globalization;
using System.Text;
using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;
using Google.Protobuf;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>
/// Random and damaged units: the guard never throws, allocates nothing for what passes and little for what it refuses, and what passes says to
/// Google's parser, and to Akka's of paths, what it said to the guard.
/// </summary>
public sealed class PduFuzzTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private const long MostForARefusal = 16 * 1024;
    private static readonly long Inputs = Number("FTAKKA_FUZZ_INPUTS", 200_000);
    private static readonly int Seed = (int)Number("FTAKKA_FUZZ_SEED", 1);

    private static readonly MessageParser Units = Parser("AkkaProtocolMessage"), Containers = Parser("AckAndEnvelopeContainer");
    private static readonly GuardRules Rules = Guards.Rules("trusted-selections = [\"/user/node\"]\ntrusted-serializers = [711, 16]");

    [Fact]
    public void Random_and_damaged_units()
    {
        UnitMutator mutator = new(Seed);
        long accepted = 0, handshakes = 0, allocated = 0;
        var opened = Opened();
        for (long input = 0; input < Inputs; input++)
        {
            var isFirst = (input & 7) == 0;
            var guard = isFirst ? new PduGuard(Rules, Guards.A, Guards.Local, null) : opened;
            var pdu = mutator.Next();
            try
            {
                PduPeek.TryMessage(pdu, out var serializer, out var manifest);
                Assert.Equal(0, Allocations.Least(pdu, static unit => PduPeek.TryMessage(unit, out _, out _)));
                var before = GC.GetAllocatedBytesForCurrentThread();
                var why = guard.Refuse(pdu);
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                var isFree = why is null && !isFirst;
                Assert.InRange(isFree && allocated > 0 ? Allocations.Least(pdu, unit => guard.Refuse(unit)) : allocated, 0, isFree ? 0 : MostForARefusal);
                if (why is null)
                {
                    accepted++;
                    handshakes += isFirst && guard.Origin is not null ? 1 : 0;
                    Compare(pdu, serializer, manifest, guard);
                }
                else if (!isFirst)
                {
                    Assert.DoesNotContain('\n', why);
                    opened = Opened();
                }
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {Seed}, input {input}: {Convert.ToHexString(pdu)}", failure);
            }
        }

        output.WriteLine($"seed {Seed}: {Inputs} inputs, {accepted} accepted, of them {handshakes} handshakes");
        Assert.InRange(accepted, Inputs / 100, Inputs);
        Assert.InRange(handshakes, 1, Inputs);
    }

    private static PduGuard Opened()
    {
        PduGuard guard = new(Rules, Guards.A, Guards.Local, null);
        Assert.Null(guard.Refuse(Guards.HandshakeOfA));
        return guard;
    }

    private static void Compare(ReadOnlySpan<byte> pdu, int serializer, ReadOnlySpan<byte> manifest, PduGuard guard)
    {
        var unit = Units.ParseFrom(pdu);
        if (Field<IMessage>(unit, 2) is { } control)
        {
            Assert.Empty(Field<ByteString>(unit, 1)!);
            CompareControl(control, guard);
            return;
        }

        var container = Containers.ParseFrom(Field<ByteString>(unit, 1));
        if (Field<IMessage>(container, 2) is not { } envelope)
        {
            return;
        }

        Assert.NotNull(guard.Origin);
        var message = Field<IMessage>(envelope, 2)!;
        Assert.Equal(Field<int>(message, 2), serializer);
        Assert.Equal(Field<ByteString>(message, 3)!.ToByteArray(), manifest.ToArray());
        Assert.Equal(ulong.MaxValue, Field<ulong>(envelope, 5));
        var recipient = Field<string>(Field<IMessage>(envelope, 1)!, 1)!;
        Assert.True(recipient.StartsWith(Guards.Ours + "/user/node", StringComparison.Ordinal)
            || recipient.StartsWith(Guards.Ours + "/temp/replica-", StringComparison.Ordinal)
            || (recipient == Guards.Ours + "/" && serializer == 6), recipient);
        AssertReadsAsItIs(recipient);
        Assert.Contains(serializer, new[] { 711, 16, 6 });
        Assert.False(serializer == 16 && Encoding.UTF8.GetString(manifest) is "PP" or "K" or "IR");
        if (Field<IMessage>(envelope, 4) is { } sender)
        {
            var path = Field<string>(sender, 1)!;
            Assert.StartsWith($"akka.{guard.Origin}/", path, StringComparison.Ordinal);
            AssertReadsAsItIs(path);
        }
    }

    private static void CompareControl(IMessage control, PduGuard guard)
    {
        var command = Convert.ToInt32(Field<object>(control, 1), CultureInfo.InvariantCulture);
        Assert.InRange(command, 1, 5);
        if (command != 1)
        {
            Assert.Null(Field<IMessage>(control, 2));
            return;
        }

        var origin = Field<IMessage>(Field<IMessage>(control, 2)!, 1)!;
        Address said = new(Field<string>(origin, 4)!, Field<string>(origin, 1)!, Field<string>(origin, 2)!, (int)Field<uint>(origin, 3));
        Assert.Equal(said, guard.Origin);
        Assert.Contains(said.Host, Guards.A.Hosts, StringComparer.OrdinalIgnoreCase);
    }

    // Akka's parser neither throws nor drops a part.
    private static void AssertReadsAsItIs(string path)
    {
        Assert.True(ActorPath.TryParse(path, out var parsed), path);
        Assert.Equal(path.Split('#')[0], parsed.ToStringWithAddress());
        Assert.DoesNotContain("..", parsed.Elements);
    }

    private static T? Field<T>(IMessage message, int number) => (T?)message.Descriptor.FindFieldByNumber(number).Accessor.GetValue(message);

    private static MessageParser Parser(string name) =>
        (MessageParser)typeof(Akka.Remote.RemoteActorRefProvider).Assembly.GetType($"Akka.Remote.Serialization.Proto.Msg.{name}", throwOnError: true)!
            .GetProperty("Parser")!.GetValue(null)!;

    private static long Number(string variable, long otherwise) =>
        long.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
