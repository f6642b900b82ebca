using System.Collections.Concurrent;
using System.Net.Sockets;
using Akka.Actor;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// Replaces connections that the network has left hanging. A connection over a cable that was unplugged is heard again only when the kernel's
/// retransmission timer runs out, which doubles each time. So a node dials beside a connection whose timer has run out, and as soon as the
/// other host answers it ends the old connection: remoting dials again at once, and finds the new one. A peer that is merely slow is no
/// reason: its kernel acknowledges what it receives.
/// </summary>
internal sealed class StuckConnections : IDisposable
{
    /// <summary>How often connections are looked at. A look is a system call of a microsecond.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly TcpSettings _settings;
    private readonly Func<TcpAssociation[]> _associations;
    private readonly ConcurrentDictionary<Address, Socket> _connected = new();
    private readonly Timer _timer;
    private volatile bool _ended;

    /// <param name="settings">The transport's settings.</param>
    /// <param name="associations">Those that there are.</param>
    public StuckConnections(TcpSettings settings, Func<TcpAssociation[]> associations)
    {
        _settings = settings;
        _associations = associations;
        _timer = new Timer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>A socket that has just been connected to an address, for whoever dials it; null if there is none.</summary>
    public Socket? Take(Address address) => _connected.TryRemove(address, out var socket) ? socket : null;

    public void Dispose()
    {
        _ended = true;
        _timer.Dispose();
        foreach (var address in _connected.Keys)
        {
            Take(address)?.Dispose();
        }
    }

    private void Look()
    {
        foreach (var association in _associations())
        {
            if (association.Dialled is { } address && association.IsStuck && association.TryBeginReplacing())
            {
                new Thread(() => Replace(association, address)) { IsBackground = true, Name = $"tcp again to {address.Host}:{address.Port}" }.Start();
            }
        }
    }

    private void Replace(TcpAssociation association, Address address)
    {
        try
        {
            while (association.IsStuck && !_ended)
            {
                if (TcpDial.TryConnect(_settings, address.Host, address.Port!.Value, _settings.ConnectAttemptTimeout) is not { } socket)
                {
                    continue;
                }

                // The old connection may have been acknowledged meanwhile, and is better than a new one.
                if (!association.IsStuck || _ended || !_connected.TryAdd(address, socket))
                {
                    socket.Dispose();
                    return;
                }

                association.End("the network left it hanging, and the peer answers to a new connection");
                Thread.Sleep(_settings.ConnectionTimeout);
                Forget(address, socket);
                return;
            }
        }
        catch (IOException)
        {
            // Refused: the peer's process is gone. The old connection ends by itself, or by its time-out.
            Thread.Sleep(_settings.ConnectAttemptTimeout);
        }
        finally
        {
            association.EndReplacing();
        }
    }

    /// <summary>Nobody has dialled.</summary>
    private void Forget(Address address, Socket socket)
    {
        if (_connected.TryRemove(new KeyValuePair<Address, Socket>(address, socket)))
        {
            socket.Dispose();
        }
    }
}
