using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace FtAkka.VmmHost.Nodes;

/// <summary>JSON documents, one per line, over a socket that it owns. One reader and one writer at a time.</summary>
internal sealed class ControlLines : IAsyncDisposable
{
    private readonly NetworkStream stream;
    private byte[] buffer = new byte[4096];
    private int filled;

    /// <summary>Over a connected socket.</summary>
    public ControlLines(Socket socket) => stream = new NetworkStream(socket, ownsSocket: true);

    /// <summary>Connects to a node's control socket.</summary>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    public static async Task<ControlLines> ConnectAsync(string path, CancellationToken cancelled)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancelled).ConfigureAwait(false);
            return new ControlLines(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Reads a document; null at the end of the stream.</summary>
    /// <exception cref="JsonException">The line is not such a document, or too long.</exception>
    public async Task<T?> ReadAsync<T>(CancellationToken cancelled)
        where T : class
    {
        while (true)
        {
            int end = buffer.AsSpan(0, filled).IndexOf((byte)'\n');
            if (end >= 0)
            {
                T? document = JsonSerializer.Deserialize<T>(Encoding.UTF8.GetString(buffer, 0, end), ControlFormat.Json);
                buffer.AsSpan(end + 1, filled - end - 1).CopyTo(buffer);
                filled -= end + 1;
                return document;
            }
            if (filled == buffer.Length)
            {
                if (filled >= ControlFormat.LineMax)
                {
                    throw new JsonException("The line is too long.");
                }
                Array.Resize(ref buffer, filled * 2);
            }
            int read = await stream.ReadAsync(buffer.AsMemory(filled), cancelled).ConfigureAwait(false);
            if (read == 0)
            {
                return null;
            }
            filled += read;
        }
    }

    /// <summary>Writes a document.</summary>
    public async Task WriteAsync<T>(T document, CancellationToken cancelled)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(document, ControlFormat.Json), (byte)'\n'];
        await stream.WriteAsync(line, cancelled).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => stream.DisposeAsync();
}
