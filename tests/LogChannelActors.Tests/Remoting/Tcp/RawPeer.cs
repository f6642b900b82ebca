using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>A peer that is no node: bytes of the test's choosing, over TLS or plain.</summary>
internal sealed class RawPeer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly TcpClient _client;
    private readonly Stream _stream;

    private RawPeer(TcpClient client, Stream stream)
    {
        _client = client;
        _stream = stream;
    }

    /// <summary>Thumbprint of the certificate that the node has shown.</summary>
    public string Shown => (_stream as SslStream)?.RemoteCertificate?.GetCertHashString() ?? "none";

    public static async Task<RawPeer> ConnectAsync(TcpNode node)
    {
        var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", node.Address.Port!.Value);
        return new RawPeer(client, client.GetStream());
    }

    public static async Task<RawPeer> ConnectAsync(TcpNode node, X509Certificate2? certificate, SslProtocols protocols = SslProtocols.Tls13)
    {
        var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", node.Address.Port!.Value);
        var tls = new SslStream(client.GetStream(), false, (_, server, _, _) => server?.Issuer == "CN=cluster");
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "127.0.0.1",
            ClientCertificates = certificate is null ? [] : [certificate],
            EnabledSslProtocols = protocols,
        });
        return new RawPeer(client, tls);
    }

    /// <summary>The next connection that a node dials, after the greeting.</summary>
    public static async Task<RawPeer> AcceptAsync(TcpListener listener)
    {
        TcpClient client = await listener.AcceptTcpClientAsync().WaitAsync(Patience);
        NetworkStream stream = client.GetStream();
        await stream.ReadExactlyAsync(new byte[32]).AsTask().WaitAsync(Patience);
        await stream.WriteAsync((byte[])[.. "FTAK"u8, 1, 0, 0, 0]);
        return new RawPeer(client, stream);
    }

    public async Task GreetAsync(byte lane = 0, byte expected = 0)
    {
        byte[] greeting = [.. "FTAK"u8, 1, lane, 0, 0, .. new byte[24]];
        System.Security.Cryptography.RandomNumberGenerator.Fill(greeting.AsSpan(8, 16));
        await _stream.WriteAsync(greeting);
        var answer = new byte[8];
        await _stream.ReadExactlyAsync(answer).AsTask().WaitAsync(Patience);
        Assert.Equal([.. "FTAK"u8, 1, expected, 0, 0], answer);
    }

    public async Task SendAsync(byte[] unit) => await WriteAsync([.. BitConverter.GetBytes(unit.Length), .. unit]);

    public async Task WriteAsync(byte[] bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes);
        }
        catch (IOException)
        {
            // Closed already.
        }
    }

    public async Task<byte[]> ReadUnitAsync()
    {
        var length = new byte[4];
        await _stream.ReadExactlyAsync(length).AsTask().WaitAsync(Patience);
        var unit = new byte[BitConverter.ToInt32(length)];
        await _stream.ReadExactlyAsync(unit).AsTask().WaitAsync(Patience);
        return unit;
    }

    /// <summary>Reads a unit, at most so many bytes at once and with a pause behind each; or one of the connection's own signals, whose number it gives.</summary>
    public async Task<int> ReadSlowlyAsync(int piece, TimeSpan pause)
    {
        var word = new byte[4];
        await _stream.ReadExactlyAsync(word).AsTask().WaitAsync(Patience);
        uint length = BitConverter.ToUInt32(word);
        if (length >= 0xFFFFFF00)
        {
            return (int)(length & 0xFF);
        }

        var bytes = new byte[piece];
        for (int left = (int)length; left > 0; left -= Math.Min(left, piece))
        {
            await _stream.ReadExactlyAsync(bytes.AsMemory(0, Math.Min(left, piece))).AsTask().WaitAsync(Patience);
            await Task.Delay(pause);
        }

        return 0;
    }

    /// <summary>Reads until the other side closes; true if it does.</summary>
    public async Task<bool> IsClosedAsync()
    {
        using var timeout = new CancellationTokenSource(Patience);
        try
        {
            var buffer = new byte[4096];
            while (await _stream.ReadAsync(buffer, timeout.Token) > 0)
            {
                // What it had to say first.
            }

            return true;
        }
        catch (IOException)
        {
            return true;   // reset: closed as well
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _client.Dispose();
    }
}
