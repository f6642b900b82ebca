using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// Sends without waiting on a socket whose receives wait. .NET has one switch for both; with it on "non-blocking" each receive costs a call
/// of poll more.
/// </summary>
internal static class SocketCalls
{
    private const int DontWait = 0x40;      // MSG_DONTWAIT
    private const int NoSignal = 0x4000;    // MSG_NOSIGNAL
    private const int Interrupted = 4;      // EINTR
    private const int Again = 11;           // EAGAIN
    private const int OutOfMemory = 12;     // ENOMEM
    private const int NoBuffers = 105;      // ENOBUFS
    private const int Tcp = 6;              // IPPROTO_TCP
    private const int UserTimeout = 18;     // TCP_USER_TIMEOUT, milliseconds
    private const int Info = 11;            // TCP_INFO
    private const int InfoRetransmits = 2;  // struct tcp_info, linux/tcp.h: tcpi_state, tcpi_ca_state, tcpi_retransmits, ...

    /// <summary>Sends what the kernel takes at once; returns how many bytes that are, perhaps 0.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    public static int SendNow(Socket socket, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            var sent = Send(socket.SafeHandle, in MemoryMarshal.GetReference(bytes), (nuint)bytes.Length, DontWait | NoSignal);
            if (sent >= 0)
            {
                return (int)sent;
            }

            var error = Marshal.GetLastPInvokeError();
            switch (error)
            {
                case Interrupted:
                    continue;
                case Again or OutOfMemory or NoBuffers:
                    return 0;
                default:
                    throw new IOException(new Win32Exception(error).Message);
            }
        }
    }

    /// <summary>No delay, keep-alive, and an end of the connection when sent bytes stay unacknowledged for so long.</summary>
    public static void Prepare(Socket socket, TimeSpan silence)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        var seconds = Math.Max(1, (int)silence.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, seconds);
        socket.SetRawSocketOption(Tcp, UserTimeout, BitConverter.GetBytes((int)silence.TotalMilliseconds));
    }

    /// <summary>
    /// How often in a row the kernel's retransmission timer has run out without an answer (RFC 6298). It waits twice as long each time, from 200 ms
    /// on: a connection over a cable that was unplugged stays silent for up to as long again after the cable is back.
    /// </summary>
    public static int Retransmissions(Socket socket)
    {
        Span<byte> info = stackalloc byte[InfoRetransmits + 1];
        try
        {
            return socket.GetRawSocketOption(Tcp, Info, info) == info.Length ? info[InfoRetransmits] : 0;
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            return 0;   // it is over
        }
    }

#pragma warning disable SYSLIB1054 // LibraryImport needs unsafe code, which this project does not have.
    [DllImport("libc", EntryPoint = "send", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern nint Send(SafeHandle socket, in byte first, nuint count, int flags);
#pragma warning restore SYSLIB1054
}
