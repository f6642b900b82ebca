using System.Net;
using System.Net.Sockets;

namespace FtAkka.GdbStub;

/// <summary>Serves gdb over TCP on this host's loopback, one connection after the other, on its caller's thread.</summary>
internal sealed class GdbServer : IDisposable
{
    private readonly TcpListener listener;
    private readonly Queue<byte> received = new();
    private readonly byte[] buffer = new byte[16 << 10];
    private Socket? connection;

    private GdbServer(int port)
    {
        listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
    }

    /// <summary>Listens on a port; 0 takes a free one.</summary>
    /// <exception cref="GdbPortException">The port cannot be had.</exception>
    public static GdbServer Listen(int port)
    {
        try
        {
            return new GdbServer(port);
        }
        catch (Exception refused) when (refused is SocketException or ArgumentOutOfRangeException)
        {
            throw new GdbPortException($"Cannot listen for gdb on port {port}: {refused.Message}", refused);
        }
    }

    /// <summary>The port.</summary>
    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>
    /// Whether gdb has pressed Ctrl-C, or gone: asked while the target runs. What else has arrived stays for later.
    /// </summary>
    public bool IsInterrupted()
    {
        if (connection is null)
        {
            return false;
        }
        try
        {
            while (connection.Poll(0, SelectMode.SelectRead))
            {
                if (!Receive())
                {
                    return true;
                }
            }
        }
        catch (SocketException)
        {
            return true;
        }
        if (!received.Contains(3))
        {
            return false;
        }
        byte[] rest = [.. received.Where(value => value != 3)];
        received.Clear();
        foreach (byte value in rest)
        {
            received.Enqueue(value);
        }
        return true;
    }

    /// <summary>Waits for a debugger, or returns false when cancelled.</summary>
    public bool Accept(CancellationToken cancelled)
    {
        try
        {
            connection = listener.AcceptSocketAsync(cancelled).AsTask().GetAwaiter().GetResult();
            connection.NoDelay = true;
            received.Clear();
            return true;
        }
        catch (Exception ended) when (ended is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            return false;
        }
    }

    /// <summary>Serves the debugger until it leaves. Returns whether it took leave, or just went.</summary>
    public bool Serve(IDebugTarget target)
    {
        var session = new GdbSession(target);
        var reader = new GdbPacketReader();
        byte[] last = [];
        try
        {
            while (!session.IsOver)
            {
                while (received.Count == 0)
                {
                    if (!Receive())
                    {
                        return false;
                    }
                }
                if (reader.Take(received.Dequeue()) is not { } input)
                {
                    continue;
                }
                switch (input.Kind)
                {
                    case GdbInputKind.Packet:
                        if (session.Acknowledges)
                        {
                            connection!.Send("+"u8);
                        }
                        if (session.Handle(input.Payload) is { } reply)
                        {
                            last = GdbPacketReader.Frame(System.Text.Encoding.Latin1.GetBytes(reply));
                            connection!.Send(last);
                        }
                        break;
                    case GdbInputKind.BadPacket:
                        connection!.Send("-"u8);
                        break;
                    case GdbInputKind.Resend:
                        connection!.Send(last);
                        break;
                    default:
                        break;
                }
            }
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
        finally
        {
            connection?.Dispose();
            connection = null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        connection?.Dispose();
        listener.Dispose();
    }

    private bool Receive()
    {
        int count = connection!.Receive(buffer);
        foreach (byte value in buffer.AsSpan(0, count))
        {
            received.Enqueue(value);
        }
        return count > 0;
    }
}
