using System.Net;
using System.Net.Sockets;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>A TCP relay that can be cut, frozen (bytes stop, connections stay), reset at one end, and mended.</summary>
public sealed class Cable : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<(TcpClient Near, TcpClient Far)> _pairs = [];
    private readonly object _gate = new();
    private readonly int _target;
    private volatile bool _frozen;
    private volatile bool _cut;
    private volatile int _frozenPair = -1;
    private int _accepted;

    public Cable(int target)
    {
        _target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Connections so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    public void Freeze() => _frozen = true;

    /// <summary>Freezes one connection only, by its number from 0.</summary>
    public void Freeze(int pair) => _frozenPair = pair;

    /// <summary>Breaks all connections, and refuses new ones until it is mended.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            _cut = true;
            _pairs.ForEach(pair =>
            {
                pair.Near.Dispose();
                pair.Far.Dispose();
            });
            _pairs.Clear();
        }
    }

    /// <summary>Resets the connections at the end of who was dialled; the end of who dialled hears nothing of it.</summary>
    public void ResetFarEnds()
    {
        lock (_gate)
        {
            _pairs.ForEach(pair =>
            {
                pair.Far.LingerState = new LingerOption(true, 0);
                pair.Far.Dispose();
            });
        }
    }

    public void Mend()
    {
        _frozen = false;
        _frozenPair = -1;
        _cut = false;
    }

    public void Dispose()
    {
        _listener.Dispose();
        Cut();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var near = await _listener.AcceptTcpClientAsync();
                var number = Interlocked.Increment(ref _accepted) - 1;
                if (_cut)
                {
                    near.Dispose();
                    continue;
                }

                var far = new TcpClient();
                await far.ConnectAsync(IPAddress.Loopback, _target);
                lock (_gate)
                {
                    _pairs.Add((near, far));
                }

                _ = PumpAsync(near, far, number, ends: true);
                _ = PumpAsync(far, near, number, ends: false);
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The cable is thrown away.
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, int number, bool ends)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer)) > 0)
            {
                while (_frozen || _frozenPair == number)
                {
                    await Task.Delay(5);
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }

            to.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            if (ends)
            {
                to.Dispose();   // the dialling end is gone; the other direction's end says nothing (see ResetFarEnds)
            }
        }
    }
}
