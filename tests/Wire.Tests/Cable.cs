using System.Net;
using System.Net.Sockets;

namespace FtAkka.Wire.Tests;

/// <summary>A TCP relay that can be cut (connections break), frozen (bytes stop, connections stay) and mended.</summary>
public sealed class Cable : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<TcpClient> _ends = [];
    private readonly object _gate = new();
    private volatile bool _frozen;
    private volatile bool _cut;

    public Cable(int target)
    {
        Target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = AcceptAsync();
    }

    public int Port { get; }

    public int Target { get; set; }

    public void Freeze() => _frozen = true;

    public void Cut()
    {
        lock (_gate)
        {
            _cut = true;
            foreach (var end in _ends)
            {
                end.Dispose();
            }

            _ends.Clear();
        }
    }

    public void Mend()
    {
        _frozen = false;
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
                if (_cut)
                {
                    near.Dispose();
                    continue;
                }

                var far = new TcpClient();
                await far.ConnectAsync(IPAddress.Loopback, Target);
                lock (_gate)
                {
                    _ends.Add(near);
                    _ends.Add(far);
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

    private async Task PumpAsync(TcpClient from, TcpClient to)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer)) > 0)
            {
                while (_frozen)
                {
                    await Task.Delay(5);
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Cut.
        }

        from.Dispose();
        to.Dispose();
    }
}
