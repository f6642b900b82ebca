using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace FtAkka.WireBench;

/// <summary>The yardsticks: fixed-size messages over plain .NET sockets on loopback, without framing, actors or encryption.</summary>
internal static class SocketPingPong
{
    /// <summary>Round trips with asynchronous sends and receives at both ends, in microseconds.</summary>
    public static async Task<double[]> AsynchronousAsync(int size, int count)
    {
        var (client, server) = await ConnectAsync().ConfigureAwait(false);
        using (client)
        using (server)
        {
            var echo = Task.Run(async () =>
            {
                var buffer = new byte[size];
                for (var i = 0; i < count; i++)
                {
                    await ReceiveExactlyAsync(server, buffer).ConfigureAwait(false);
                    await server.SendAsync(buffer).ConfigureAwait(false);
                }
            });
            var message = new byte[size];
            var times = new double[count];
            for (var i = 0; i < count; i++)
            {
                var started = Stopwatch.GetTimestamp();
                await client.SendAsync(message).ConfigureAwait(false);
                await ReceiveExactlyAsync(client, message).ConfigureAwait(false);
                times[i] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
            }

            await echo.ConfigureAwait(false);
            return times;
        }
    }

    /// <summary>Round trips with blocking calls, a thread at each end, in microseconds: the least that a .NET program can do.</summary>
    public static async Task<double[]> BlockingAsync(int size, int count)
    {
        var (client, server) = await ConnectAsync().ConfigureAwait(false);
        using (client)
        using (server)
        {
            var times = new double[count];
            var echo = new Thread(() =>
            {
                var buffer = new byte[size];
                for (var i = 0; i < count; i++)
                {
                    ReceiveExactly(server, buffer);
                    server.Send(buffer);
                }
            });
            var pinger = new Thread(() =>
            {
                var message = new byte[size];
                for (var i = 0; i < count; i++)
                {
                    var started = Stopwatch.GetTimestamp();
                    client.Send(message);
                    ReceiveExactly(client, message);
                    times[i] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
                }
            });
            echo.Start();
            pinger.Start();
            echo.Join();
            pinger.Join();
            return times;
        }
    }

    /// <summary>One-way messages per second, one asynchronous send for each message.</summary>
    public static async Task<double> OneWayAsync(int size, int count)
    {
        var (client, server) = await ConnectAsync().ConfigureAwait(false);
        using (client)
        using (server)
        {
            var started = Stopwatch.GetTimestamp();
            var drain = Task.Run(async () =>
            {
                var buffer = new byte[64 * 1024];
                for (var left = (long)size * count; left > 0;)
                {
                    left -= await server.ReceiveAsync(buffer).ConfigureAwait(false);
                }
            });
            var message = new byte[size];
            for (var i = 0; i < count; i++)
            {
                await client.SendAsync(message).ConfigureAwait(false);
            }

            await drain.ConfigureAwait(false);
            return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }

    private static async Task<(Socket Client, Socket Server)> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        // Blocking calls: a socket that has once been used asynchronously stays non-blocking underneath, which the blocking
        // yardstick would pay for.
        await Task.Run(() => client.Connect(listener.LocalEndPoint!)).ConfigureAwait(false);
        var server = listener.Accept();
        server.NoDelay = true;
        return (client, server);
    }

    private static async Task ReceiveExactlyAsync(Socket socket, byte[] buffer)
    {
        for (var received = 0; received < buffer.Length;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(received)).ConfigureAwait(false);
            received += read > 0 ? read : throw new IOException("The other end closed.");
        }
    }

    private static void ReceiveExactly(Socket socket, byte[] buffer)
    {
        for (var received = 0; received < buffer.Length;)
        {
            var read = socket.Receive(buffer.AsSpan(received));
            received += read > 0 ? read : throw new IOException("The other end closed.");
        }
    }
}
