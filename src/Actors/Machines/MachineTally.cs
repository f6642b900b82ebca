using System.Reflection;
using System.Runtime.InteropServices;
using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Machine.Events;

namespace FtAkka.Actors.Machines;

/// <summary>Counts what a machine does, for its report.</summary>
internal sealed class MachineTally
{
    private static readonly TimeSpan LateClock = TimeSpan.FromMilliseconds(10);

    private static readonly PropertyInfo[] CpuCounters =
        [.. typeof(VcpuStatistics).GetProperties().Where(property => property.PropertyType == typeof(ulong))];

    private readonly SortedDictionary<MachineExitReason, ulong> exits = [];
    private readonly Dictionary<Type, ulong> inputs = [];
    private readonly Dictionary<Type, ulong> effects = [];
    private TimeSpan executing;
    private TimeSpan clockLagMax;
    private ulong clockAdvances;
    private ulong clockAdvancesLate;

    public void Ran(MachineExitReason reason, TimeSpan elapsed)
    {
        exits[reason] = exits.GetValueOrDefault(reason) + 1;
        executing += elapsed;
    }

    public void Delivered(InputEvent input) => Count(inputs, input.GetType());

    public void Performed(MachineEffect effect) => Count(effects, effect.GetType());

    public void ClockWasBehind(TimeSpan lag)
    {
        clockLagMax = lag > clockLagMax ? lag : clockLagMax;
        clockAdvances++;
        clockAdvancesLate += lag > LateClock ? 1UL : 0;
    }

    public MachineReport Report(GuestMachine machine, TimeSpan elapsed) => new()
    {
        Icount = machine.Icount,
        Restarts = machine.Restarts,
        Elapsed = elapsed,
        Executing = executing,
        ClockLagMax = clockLagMax,
        ClockAdvances = clockAdvances,
        ClockAdvancesLate = clockAdvancesLate,
        Exits = new SortedDictionary<MachineExitReason, ulong>(exits),
        Inputs = ByName(inputs),
        Effects = ByName(effects),
        Cpu = CpuOf(machine),
    };

    private static void Count(Dictionary<Type, ulong> counters, Type kind) =>
        CollectionsMarshal.GetValueRefOrAddDefault(counters, kind, out _)++;

    private static SortedDictionary<string, ulong> ByName(Dictionary<Type, ulong> counters) =>
        new(counters.ToDictionary(counter => counter.Key.Name, counter => counter.Value), StringComparer.Ordinal);

    private static SortedDictionary<string, ulong> CpuOf(GuestMachine machine)
    {
        var counters = new SortedDictionary<string, ulong>(StringComparer.Ordinal);
        if (machine.Vcpu is { } vcpu)
        {
            foreach (PropertyInfo counter in CpuCounters)
            {
                counters[counter.Name] = (ulong)counter.GetValue(vcpu.Statistics)!;
            }
        }
        return counters;
    }
}
