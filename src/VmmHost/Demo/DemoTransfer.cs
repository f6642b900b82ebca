using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace FtAkka.VmmHost.Demo;

/// <summary>
/// One HTTP download from the guest that lasts as long as the demo. What comes is known in advance, byte for byte; the hash of what came is compared with
/// that. A reset connection is an error like a wrong byte.
/// </summary>
internal sealed class DemoTransfer(string address)
{
    /// <summary>Bytes of a numbered block.</summary>
    public const int BlockBytes = 1024;

    private readonly IncrementalHash received = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash expected = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Lock sync = new();
    private long bytes;
    private string? fault;
    private Task? reading;

    /// <summary>Bytes of content so far.</summary>
    public long Bytes
    {
        get
        {
            lock (sync)
            {
                return bytes;
            }
        }
    }

    /// <summary>Block number <paramref name="number"/>, from 1 on, as the guest prints it.</summary>
    public static string Block(int number) => number.ToString("D8", CultureInfo.InvariantCulture) + " " + new string('x', BlockBytes - 10) + "\n";

    /// <summary>Begins to read, as soon as the guest serves.</summary>
    public void Start(CancellationToken cancelled) => reading = Task.Run(() => ReadAsync(cancelled), CancellationToken.None);

    /// <summary>What is wrong with what came; null if nothing is. The reading must have been cancelled.</summary>
    public async Task<string?> VerdictAsync()
    {
        await Task.WhenAny(reading ?? Task.CompletedTask).ConfigureAwait(false);
        lock (sync)
        {
            return fault ?? (bytes == 0 ? "Nothing came over TCP." : received.GetCurrentHash().AsSpan().SequenceEqual(expected.GetCurrentHash()) ? null : "The transfer has a wrong hash.");
        }
    }

    private async Task ReadAsync(CancellationToken cancelled)
    {
        try
        {
            using Socket socket = await ConnectAsync(cancelled).ConfigureAwait(false);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /cgi-bin/feed HTTP/1.0\r\nHost: {address}\r\n\r\n"), cancelled).ConfigureAwait(false);
            byte[] buffer = new byte[64 << 10];
            bool headerIsOver = false;
            var header = new StringBuilder();
            while (await socket.ReceiveAsync(buffer, cancelled).ConfigureAwait(false) is int read and > 0)
            {
                ReadOnlyMemory<byte> content = buffer.AsMemory(0, read);
                if (!headerIsOver)
                {
                    header.Append(Encoding.ASCII.GetString(content.Span));
                    int end = header.ToString().IndexOf("00000001 ", StringComparison.Ordinal);
                    if (end < 0)
                    {
                        continue;
                    }
                    headerIsOver = true;
                    content = Encoding.ASCII.GetBytes(header.ToString()[end..]);
                }
                Take(content.Span);
            }
            Blame("The guest closed the connection.");
        }
        catch (OperationCanceledException)
        {
            // The demo is over.
        }
        catch (SocketException lost)
        {
            Blame($"The TCP connection broke: {lost.Message}");
        }
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancelled)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(address, 80, cancelled).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(100, cancelled).ConfigureAwait(false);
            }
        }
    }

    private void Take(ReadOnlySpan<byte> content)
    {
        lock (sync)
        {
            received.AppendData(content);
            for (int left = content.Length; left > 0;)
            {
                int offset = (int)(bytes % BlockBytes);
                int count = Math.Min(left, BlockBytes - offset);
                expected.AppendData(Encoding.ASCII.GetBytes(Block((int)(bytes / BlockBytes) + 1)).AsSpan(offset, count));
                left -= count;
                bytes += count;
            }
        }
    }

    private void Blame(string what)
    {
        lock (sync)
        {
            fault ??= what;
        }
    }
}
