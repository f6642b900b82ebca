using System.Reflection;
using Akka.Util;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Akka's generator of UIDs, which is the thread's. Akka has no public way to seed it; a version of Akka that keeps the field elsewhere is told in
/// plain words. Counters of the whole process are left alone: systems beside the simulation use them too, see <see cref="SimulatedDispatcher"/>.
/// </summary>
internal static class AkkaUids
{
    /// <summary>Seeds this thread's generator (actor UIDs, random routers).</summary>
    public static void Seed(ulong seed)
    {
        const string Name = "_rng";
        FieldInfo field = typeof(ThreadLocalRandom).GetField(Name, BindingFlags.Static | BindingFlags.NonPublic) ?? throw new SimulationException(
            $"This Akka ({typeof(ThreadLocalRandom).Assembly.GetName().Version}) keeps {nameof(ThreadLocalRandom)}.{Name} elsewhere: the simulator must "
            + "learn where, or runs would not repeat.");
        // A seeded System.Random keeps the sequence of old in every .NET version.
        ((ThreadLocal<Random>)field.GetValue(null)!).Value = new Random((int)(seed ^ (seed >> 32)));
    }
}
