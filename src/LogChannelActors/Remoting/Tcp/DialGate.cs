using System.Collections.Concurrent;
using System.Diagnostics;
using Akka.Actor;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>Remembers which addresses could not be reached just now, so that senders in a hurry do not make a dial for each message.</summary>
internal sealed class DialGate(TimeSpan closedFor)
{
    private const int Kept = 1024;
    private readonly ConcurrentDictionary<Address, (long FailedAt, string Reason)> _failures = new();

    /// <summary>Why the address is not dialled now, or null.</summary>
    public string? Closed(Address address) =>
        _failures.TryGetValue(address, out var failure) && Stopwatch.GetElapsedTime(failure.FailedAt) < closedFor ? failure.Reason : null;

    public void Failed(Address address, string reason)
    {
        if (_failures.Count >= Kept)
        {
            _failures.Clear();
        }

        _failures[address] = (Stopwatch.GetTimestamp(), reason);
    }

    public void Reached(Address address) => _failures.TryRemove(address, out _);
}
