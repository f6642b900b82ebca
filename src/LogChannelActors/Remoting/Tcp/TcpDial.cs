using System.Diagnostics;
using System.Net.Sockets;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>The dialling side of a connection, up to the answer to its greeting. All of it has one time limit.</summary>
internal sealed class TcpDial(TcpSettings settings, string host, int port)
{
    /// <summary>Why two nodes do not talk whose clusters differ, and what to do.</summary>
    public const string OtherCluster = "the two nodes are of different clusters: ftakka.node.cluster must be the same on both";

    private readonly long _started = Stopwatch.GetTimestamp();

    private TimeSpan Left => settings.ConnectionTimeout - Stopwatch.GetElapsedTime(_started);

    /// <param name="tls">This node's identity; null for plain TCP.</param>
    /// <param name="lane">Which connection of the association it will be.</param>
    /// <param name="token">The association's.</param>
    /// <param name="connected">A connected socket to use; null to connect.</param>
    /// <exception cref="IOException">It did not work; the message is for the log.</exception>
    public TcpConnection Run(TlsIdentity? tls, Lane lane, Guid token, Socket? connected = null)
    {
        var socket = connected ?? Connect();
        TcpConnection? connection = null;
        try
        {
            connection = new TcpConnection(socket, settings, tls is not null);
            using var limit = new Timer(
                static state => ((TcpConnection)state!).Cut("the handshake was not finished within connection-timeout"),
                connection, Left > TimeSpan.Zero ? Left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
            connection.Authenticate(tls, host);
            connection.WriteNow(Greeting.Write(lane, token, Greeting.MarkOf(settings.Cluster)));
            Span<byte> answer = stackalloc byte[Greeting.AnswerBytes];
            if (!connection.Reader.TryReadExactly(answer))
            {
                throw new IOException("the peer closed the connection during the handshake: it refuses this node's certificate (its log says why), or "
                    + (tls is null ? "wants TLS" : "is another program"));
            }

            return Judge(Greeting.ReadAnswer(answer), connection);
        }
#pragma warning disable CA1031 // See ConnectionFailure.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            connection?.Dispose();
            socket.Dispose();
            throw connection?.CutReason is { } cut ? new IOException(cut, failure) : failure is IOException ? failure : new IOException(ConnectionFailure.Describe(failure), failure);
        }
    }

    private static TcpConnection Judge(Verdict? verdict, TcpConnection connection) => verdict switch
    {
        Verdict.Welcome when connection.CutReason is null => connection,
        Verdict.Welcome => throw new IOException(connection.CutReason),
        Verdict.TooManyConnections => throw new IOException("the peer has as many connections as it may (its maximum-connections settings)"),
        Verdict.UnknownAssociation => throw new IOException("the peer does not know the association"),
        Verdict.OtherCluster => throw new IOException(OtherCluster),
        Verdict.Stopping => throw new IOException("the peer starts or stops"),
        _ => throw new IOException("the peer does not speak this transport's protocol"),
    };

    private Socket Connect()
    {
        while (true)
        {
            var left = Left;
            if (left <= TimeSpan.Zero)
            {
                throw new IOException("no answer within connection-timeout");
            }

            if (TryConnect(settings, host, port, left < settings.ConnectAttemptTimeout ? left : settings.ConnectAttemptTimeout) is { } socket)
            {
                return socket;
            }
        }
    }

    /// <summary>
    /// One attempt to connect, by a call that waits, since a socket that was once used otherwise stays slower; a timer ends it. Null if it took too long.
    /// </summary>
    /// <exception cref="IOException">It was refused.</exception>
    public static Socket? TryConnect(TcpSettings settings, string host, int port, TimeSpan limit)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp)
        {
            SendBufferSize = settings.SendBufferBytes,
            ReceiveBufferSize = settings.ReceiveBufferBytes,
        };
        var late = false;
        try
        {
            using (new Timer(_ => { Volatile.Write(ref late, true); socket.Dispose(); }, null, limit, Timeout.InfiniteTimeSpan))
            {
                socket.Connect(host, port);
            }

            return Volatile.Read(ref late) ? null : socket;
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            socket.Dispose();
            return Volatile.Read(ref late) ? null : throw new IOException(failure.Message, failure);
        }
    }
}
