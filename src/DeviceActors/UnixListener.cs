using System.Net.Sockets;

namespace FtAkka.DeviceActors;

/// <summary>Listening unix sockets for links and consoles.</summary>
internal static class UnixListener
{
    private const int Backlog = 4;

    /// <summary>Listens on <paramref name="path"/>. A socket file on which nobody listens any more, as a killed process leaves it, is replaced.</summary>
    /// <exception cref="IOException">Somebody listens there, or the path is another kind of file.</exception>
    /// <exception cref="SocketException">The path cannot be bound.</exception>
    public static Socket Open(string path)
    {
        if (File.Exists(path))
        {
            RemoveStale(path);
        }
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen(Backlog);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path).Length == 0)
        {
            // Refused: a socket nobody listens on. A regular file is refused as well, but an empty one is all that could be lost.
            File.Delete(path);
            return;
        }
        catch (SocketException error)
        {
            throw new IOException($"'{path}' exists and is not a socket that can be taken over: {error.Message}", error);
        }
        throw new IOException($"Another process listens on '{path}'.");
    }
}
