using System.Net;
using System.Net.Sockets;
using FtAkka.VmmHost.Tests.Failover;

namespace FtAkka.DeterministicSim.Tests.Remoting;

/// <summary>
/// The way to one node over sockets: a relay that stands at the address by which others know the node. It can be cut, and ends connections at one
/// side only.
/// </summary>
internal sealed class StoryCable : IDisposable
{
    private readonly Lock _sync = new();
    private readonly List<(Socket Near, Socket Far)> _pairs = [];
    private TcpListener? _listener;
    private volatile bool _cut;

    /// <summary>The port by which others know the node; the same for each node that is connected here in turn.</summary>
    public int Port { get; } = FreePort.Next();

    /// <summary>Whether bytes wait, in both directions.</summary>
    public bool IsCut
    {
        get => _cut;
        set => _cut = value;
    }

    /// <summary>Takes the port, which refuses whoever dials as long as no node listens at <paramref name="target"/>.</summary>
    /// <param name="target">The port at which the node listens.</param>
    public void Open(int target)
    {
        var listener = new TcpListener(IPAddress.Loopback, Port);
        listener.Start();
        _listener = listener;
        _ = AcceptAsync(listener, target);
    }

    /// <summary>Ends connections at the end of who dialled; the other end is refused when it sends.</summary>
    public void ResetNear() => ForEach(pair => Reset(pair.Near));

    /// <summary>Ends connections at the end of who was dialled; the other end is refused when it sends.</summary>
    public void ResetFar() => ForEach(pair => Reset(pair.Far));

    /// <summary>Ends all connections at both ends.</summary>
    public void ResetAll()
    {
        ResetNear();
        ResetFar();
        lock (_sync)
        {
            _pairs.Clear();
        }
    }

    /// <summary>Gives the port up: whoever dials is refused.</summary>
    public void Dispose()
    {
        _listener?.Dispose();
        ResetAll();
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }
        socket.Dispose();
    }

    private void ForEach(Action<(Socket Near, Socket Far)> act)
    {
        lock (_sync)
        {
            _pairs.ForEach(act);
        }
    }

    private async Task AcceptAsync(TcpListener listener, int target)
    {
        try
        {
            while (true)
            {
                Socket near = await listener.AcceptSocketAsync();
                var far = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await far.ConnectAsync(IPAddress.Loopback, target);
                lock (_sync)
                {
                    _pairs.Add((near, far));
                }
                _ = PumpAsync(near, far);
                _ = PumpAsync(far, near);
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The cable is thrown away.
        }
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        byte[] buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer)) > 0)
            {
                while (_cut)
                {
                    await Task.Delay(5);
                }
                try
                {
                    await to.SendAsync(buffer.AsMemory(0, read));
                }
                catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
                {
                    Reset(from);   // what it sends finds nobody
                    return;
                }
            }
            while (_cut)
            {
                await Task.Delay(5);
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // This end is gone; the other one hears of it when it sends.
        }
    }
}
