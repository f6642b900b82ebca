using System.Net;
using System.Net.Sockets;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>
/// Ports for hosts under test. They lie below those that the kernel gives to connections by itself (from 32768 on), so that none is taken between
/// this look and the host's start, which may be seconds on a busy machine.
/// </summary>
internal static class FreePort
{
    private const int First = 20_000, Count = 12_000;

    private static int next = Environment.ProcessId * 61;

    /// <summary>A port on the loopback address that nobody listens on, another one at each call.</summary>
    public static int Next()
    {
        for (int attempt = 0; attempt < Count; attempt++)
        {
            int port = First + (int)((uint)Interlocked.Increment(ref next) % Count);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException taken) when (taken.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // The next one, then.
            }
        }
        throw new InvalidOperationException("No port is free.");
    }
}
