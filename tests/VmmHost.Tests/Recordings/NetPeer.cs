using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net.Sockets;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>The other end of a guest's cable: a unix socket, behind which 10.0.0.1 answers ARP requests and pings.</summary>
internal sealed class NetPeer : IAsyncDisposable
{
    private const int PrefixBytes = 4;

    private static readonly byte[] Mac = [2, 0, 0, 0, 0, 2];

    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource stop = new();
    private readonly Task serving;

    /// <summary>Listens.</summary>
    public NetPeer(string path)
    {
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        serving = ServeAsync();
    }

    /// <summary>Stops.</summary>
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }

    /// <summary>The answer to an ARP request (RFC 826) or a ping (RFC 792); null for other frames.</summary>
    public static byte[]? Answer(ImmutableArray<byte> frame)
    {
        byte[] answer = [.. frame];
        frame.AsSpan().Slice(6, 6).CopyTo(answer);
        Mac.CopyTo(answer, 6);
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan()[12..]);
        if (type == 0x0806 && frame[21] == 1)
        {
            answer[21] = 2;
            frame.AsSpan().Slice(22, 10).CopyTo(answer.AsSpan(32));
            Mac.CopyTo(answer, 22);
            frame.AsSpan().Slice(38, 4).CopyTo(answer.AsSpan(28));
            return answer;
        }
        if (type == 0x0800 && frame[23] == 1 && frame[34] == 8)
        {
            frame.AsSpan().Slice(26, 4).CopyTo(answer.AsSpan(30));
            frame.AsSpan().Slice(30, 4).CopyTo(answer.AsSpan(26));
            answer[34] = 0;
            // The type is part of the checksum: eight less in the first word, eight more in the sum.
            uint sum = BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(36)) + 0x0800u;
            BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(36), (ushort)(sum + (sum >> 16)));
            return answer;
        }
        return null;
    }

    /// <summary>Frames with a big-endian length before each, as QEMU's stream sockets carry them.</summary>
    private async Task ServeAsync()
    {
        using Socket guest = await listener.AcceptAsync(stop.Token);
        using var stream = new NetworkStream(guest);
        byte[] prefix = new byte[PrefixBytes];
        while (await stream.ReadAtLeastAsync(prefix, PrefixBytes, throwOnEndOfStream: false, stop.Token) == PrefixBytes)
        {
            byte[] frame = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix)];
            await stream.ReadExactlyAsync(frame, stop.Token);
            if (Answer([.. frame]) is { } answer)
            {
                BinaryPrimitives.WriteInt32BigEndian(prefix, answer.Length);
                await stream.WriteAsync((byte[])[.. prefix, .. answer], stop.Token);
            }
        }
    }
}
