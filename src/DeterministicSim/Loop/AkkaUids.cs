using System.Reflection;
using Akka.Actor;
using Akka.Event;
using Akka.Util;
using Akka.Util.Internal;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Process-wide state of Akka that shows in actor names and UIDs, set back at the beginning of a run. Akka has no public way; the
/// fields are the same in 1.4.46 and 1.5.30, and a version that keeps them elsewhere is told in plain words.
/// </summary>
internal static class AkkaStatics
{
    /// <summary>Seeds Akka's generator of this thread (actor UIDs, random routers) and sets its counters to zero.</summary>
    public static void Reset(ulong seed)
    {
        var generator = (ThreadLocal<Random>)Field(typeof(ThreadLocalRandom), "_rng").GetValue(null)!;
        // A seeded System.Random keeps the sequence of old in every .NET version.
        generator.Value = new Random((int)(seed ^ (seed >> 32)));
        SetZero(typeof(EventStream), "UnsubscribersCounter");
        SetZero(typeof(LoggingBus), "_loggerId");
        SetZero(typeof(Inbox), "_inboxNr");
    }

    private static void SetZero(Type type, string name)
    {
        var field = Field(type, name);
        if (field.FieldType == typeof(int))
        {
            field.SetValue(null, 0);
        }
        else if (field.GetValue(null) is AtomicCounter counter)
        {
            counter.GetAndAdd(-counter.Current);
        }
        else
        {
            throw Elsewhere(type, name);
        }
    }

    private static FieldInfo Field(Type type, string name) =>
        type.GetField(name, BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public) ?? throw Elsewhere(type, name);

    private static SimulationException Elsewhere(Type type, string name) => new(
        $"This Akka ({type.Assembly.GetName().Version}) keeps {type.Name}.{name} elsewhere: the simulator must learn where, "
        + "or runs in one process would not repeat.");
}
