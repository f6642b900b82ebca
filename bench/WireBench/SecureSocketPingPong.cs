using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace FtAkka.WireBench;

/// <summary>The yardstick with encryption: fixed-size messages over blocking sockets, with TLS 1.3 or without, a thread at each end.</summary>
internal sealed class SecureSocketPingPong : IDisposable
{
    private readonly Socket _near;
    private readonly Socket _far;
    private readonly Stream _nearStream;
    private readonly Stream _farStream;

    private SecureSocketPingPong(Socket near, Socket far, Stream nearStream, Stream farStream)
    {
        _near = near;
        _far = far;
        _nearStream = nearStream;
        _farStream = farStream;
    }

    public static SecureSocketPingPong Connect(X509Certificate2? certificate)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        near.Connect(listener.LocalEndPoint!);
        var far = listener.Accept();
        far.NoDelay = true;
        Stream nearStream = new NetworkStream(near);
        Stream farStream = new NetworkStream(far);
        if (certificate is not null)
        {
            var server = new SslStream(farStream);
            var client = new SslStream(nearStream, false, (_, shown, _, _) => shown?.GetCertHashString() == certificate.Thumbprint);
            var accepting = new Thread(() => server.AuthenticateAsServer(certificate, false, SslProtocols.Tls13, false));
            accepting.Start();
            client.AuthenticateAsClient("127.0.0.1", null, SslProtocols.Tls13, false);
            accepting.Join();
            (nearStream, farStream) = (client, server);
        }

        return new SecureSocketPingPong(near, far, nearStream, farStream);
    }

    /// <summary>Round trips in microseconds.</summary>
    public double[] RoundTrips(int size, int count)
    {
        var times = new double[count];
        var echo = new Thread(() =>
        {
            var buffer = new byte[size];
            for (var i = 0; i < count; i++)
            {
                _farStream.ReadExactly(buffer);
                _farStream.Write(buffer);
            }
        });
        echo.Start();
        var message = new byte[size];
        for (var i = 0; i < count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            _nearStream.Write(message);
            _nearStream.ReadExactly(message);
            times[i] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
        }

        echo.Join();
        return times;
    }

    /// <summary>One-way messages per second, one write for each.</summary>
    public double OneWay(int size, int count)
    {
        var started = Stopwatch.GetTimestamp();
        var drain = new Thread(() =>
        {
            var buffer = new byte[64 * 1024];
            for (var left = (long)size * count; left > 0;)
            {
                left -= _farStream.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            }
        });
        drain.Start();
        var message = new byte[size];
        for (var i = 0; i < count; i++)
        {
            _nearStream.Write(message);
        }

        drain.Join();
        return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    public void Dispose()
    {
        _nearStream.Dispose();
        _farStream.Dispose();
        _near.Dispose();
        _far.Dispose();
    }
}
