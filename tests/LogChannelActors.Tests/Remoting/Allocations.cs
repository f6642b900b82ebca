namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>What an act on a unit allocates.</summary>
internal static class Allocations
{
    private const int Measurements = 5;

    public delegate void Act(ReadOnlySpan<byte> unit);

    /// <summary>Bytes allocated on this thread, the least of several measurements: the runtime now and then allocates something of its own.</summary>
    public static long Least(ReadOnlySpan<byte> unit, Act act)
    {
        var least = long.MaxValue;
        for (var i = 0; i < Measurements && least > 0; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            act(unit);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
