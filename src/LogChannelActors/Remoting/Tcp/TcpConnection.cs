using System.Net.Sockets;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>One socket after it was connected or accepted, with what is known of its far end.</summary>
internal sealed class TcpConnection : IDisposable
{
    /// <summary>Longest unit before the peer has said who it is. Akka's handshake is a few hundred bytes.</summary>
    private const int HandshakeUnitBytes = 4096;

    private string? _cutReason;

    public TcpConnection(Socket socket, TcpSettings settings, bool tls)
    {
        SocketCalls.Prepare(socket, settings.IdleTimeout);
        Remote = socket.RemoteEndPoint as System.Net.IPEndPoint ?? throw new IOException("the connection is gone");
        Channel = tls ? new TlsChannel(socket) : new PlainChannel(socket);
        Channel.SetReadTimeout(settings.KeepAliveInterval);
        Reader = new FrameReader(Channel, HandshakeUnitBytes);
    }

    public System.Net.IPEndPoint Remote { get; }

    public ByteChannel Channel { get; }

    public FrameReader Reader { get; }

    /// <summary>Who is at the other end; null without TLS.</summary>
    public PeerIdentity? Peer { get; private set; }

    /// <summary>The other end's certificate; empty without TLS.</summary>
    public byte[] Certificate { get; private set; } = [];

    /// <summary>Why this end broke the connection, or null.</summary>
    public string? CutReason => Volatile.Read(ref _cutReason);

    /// <summary>Breaks the connection under whoever waits on it. The first reason sticks.</summary>
    public void Cut(string reason)
    {
        Interlocked.CompareExchange(ref _cutReason, reason, null);
        Channel.Break();
    }

    /// <summary>Runs TLS, if there is any, and learns who the peer is.</summary>
    /// <param name="tls">This node's identity; null for none.</param>
    /// <param name="dialledHost">The host that was dialled, or null on the accepting side.</param>
    public void Authenticate(TlsIdentity? tls, string? dialledHost)
    {
        if (tls is null || Channel is not TlsChannel channel)
        {
            return;
        }

        Peer = dialledHost is null ? tls.AuthenticateAsServer(channel.Tls) : tls.AuthenticateAsClient(channel.Tls, dialledHost);
        Certificate = channel.Tls.RemoteCertificate!.GetRawCertData();
        channel.HandshakeDone();
    }

    /// <summary>Writes the few bytes of a greeting or its answer.</summary>
    public void WriteNow(byte[] bytes)
    {
        Channel.Stage(bytes, bytes.Length);
        while (!Channel.TryFlush())
        {
            Channel.WaitWritable(TimeSpan.FromMilliseconds(100));
        }
    }

    public void Dispose() => Channel.Dispose();
}
