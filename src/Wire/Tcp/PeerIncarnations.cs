using Akka.Actor;

namespace FtAkka.Wire.Tcp;

/// <summary>The newest incarnation seen at each address. It only grows, so a leftover of an earlier process is known for what it is.</summary>
internal sealed class PeerIncarnations(int maximumPeers)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Address, long> _newest = [];

    /// <summary>Takes note of an incarnation that has proved itself in a handshake.</summary>
    /// <param name="address">Where it is reached.</param>
    /// <param name="incarnation">Its number.</param>
    /// <param name="before">The newest one known before, 0 if none.</param>
    /// <returns>False if it is older than one already known, or the table is full of other addresses.</returns>
    public bool TryAdvance(Address address, long incarnation, out long before)
    {
        lock (_gate)
        {
            var known = _newest.TryGetValue(address, out before);
            if ((known && incarnation < before) || (!known && _newest.Count >= maximumPeers))
            {
                return false;
            }

            _newest[address] = incarnation;
            return true;
        }
    }
}
