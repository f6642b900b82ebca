using System.Reflection;
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
    private readonly SortedDictionary<string, ulong> inputs = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ulong> effects = new(StringComparer.Ordinal);
    private TimeSpan executing;
    private TimeSpan clockLagMax;
    private ulong clockAdvances;
    private ulong clockAdvancesLate;

    public void Ran(MachineExitReason reason, TimeSpan elapsed)
    {
        exits[reason] = exits.GetValueOrDefault(reason) + 1;
        executing += elapsed;
    }

    public void Delivered(InputEvent input) => inputs[input.GetType().Name] = inputs.GetValueOrDefault(input.GetType().Name) + 1;

    public void Performed(MachineEffect effect) => effects[effect.GetType().Name] = effects.GetValueOrDefault(effect.GetType().Name) + 1;

    public void ClockWasBehind(TimeSpan lag)
    {
        clockLagMax = lag > clockLagMax ? lag : clockLagMax;
        clockAdvances++;
        clockAdvancesLate += lag > LateClock ? 1UL : 0;
    }

    public MachineReport Report(GuestMachine machine, MachinePhase phase, ulong hostTsc, TimeSpan elapsed) => new()
    {
        Phase = phase,
        Icount = machine.Icount,
        Tsc = machine.Tsc,
        HostTsc = hostTsc,
        Elapsed = elapsed,
        Executing = executing,
        ClockLagMax = clockLagMax,
        ClockAdvances = clockAdvances,
        ClockAdvancesLate = clockAdvancesLate,
        Exits = new SortedDictionary<MachineExitReason, ulong>(exits),
        Inputs = new SortedDictionary<string, ulong>(inputs, StringComparer.Ordinal),
        Effects = new SortedDictionary<string, ulong>(effects, StringComparer.Ordinal),
        RefusedInputs = machine.RefusedInputCount,
        Cpu = CpuOf(machine),
    };

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
