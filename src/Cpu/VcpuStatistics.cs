namespace FtAkka.Cpu;

/// <summary>Counters of one vCPU since its creation. For people and benchmarks only: they depend on where runs were stopped.</summary>
public sealed class VcpuStatistics
{
    public ulong BlocksTranslated { get; internal set; }
    public ulong InstructionsTranslated { get; internal set; }
    public ulong BlocksInvalidated { get; internal set; }
    public ulong CodeCacheFlushes { get; internal set; }
    public ulong TlbMisses { get; internal set; }
    public ulong OddAccesses { get; internal set; }
    public ulong TrackedStores { get; internal set; }
    public ulong BudgetExits { get; internal set; }
    public ulong SpecialExits { get; internal set; }
    public ulong IndirectMisses { get; internal set; }
    public ulong LinkExits { get; internal set; }
    public ulong SingleSteps { get; internal set; }
    public ulong Exceptions { get; internal set; }
    public ulong Interrupts { get; internal set; }
}
