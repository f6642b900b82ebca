using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Machines;

/// <summary>What a machine actor runs, and how.</summary>
public sealed record MachineOptions
{
    /// <summary>The hardware.</summary>
    public required MachineConfig Config { get; init; }

    /// <summary>Linux kernel (bzImage or ELF), or any ELF image for the 64-bit boot protocol.</summary>
    public required ReadOnlyMemory<byte> Kernel { get; init; }

    /// <summary>Initial RAM disk; may be empty.</summary>
    public ReadOnlyMemory<byte> Initrd { get; init; }

    /// <summary>
    /// Time of day at the start beyond the whole second of <see cref="MachineConfig.BootUnixSeconds"/>, so that the seconds of the guest's real-time
    /// clock change with the host's. May be more than a second.
    /// </summary>
    public TimeSpan BootSecondFraction { get; init; }

    /// <summary>Limits of the vCPU; null for its defaults.</summary>
    public VcpuOptions? CpuOptions { get; init; }

    /// <summary>Makes the machine where there is none yet; by default a new one of <see cref="Config"/> and <see cref="CpuOptions"/>.</summary>
    public Func<MachineOptions, GuestMachine> CreateMachine { get; init; } = options => new GuestMachine(options.Config, options.CpuOptions);

    /// <summary>Put around the machine once its kernel is loaded; by default nothing is recorded.</summary>
    public Func<GuestMachine, IMachineRunner> CreateRunner { get; init; } = machine => new PlainRunner(machine);

    /// <summary>A digest is taken at each multiple of this icount; 0 for none.</summary>
    public ulong DigestEvery { get; init; }

    /// <summary>The run ends at this icount; 0 for no end.</summary>
    public ulong IcountMax { get; init; }

    /// <summary>
    /// A machine that exists already, as a replica that goes live has one: it goes on from where it stands, and no kernel is loaded. The
    /// actor disposes it.
    /// </summary>
    public GuestMachine? Existing { get; init; }

    /// <summary>Told of devices and what they say, and hands the machine's outputs to them; null for a machine that nobody protects.</summary>
    public IMachineObserver? Observer { get; init; }

    /// <summary>
    /// True if the machine actor itself hands outputs to the devices, at once and in order. False if its <see cref="Observer"/> does, which knows
    /// when each may leave; the actor then hands over none.
    /// </summary>
    public bool ActorPerformsOutputs => Observer is null;

    /// <summary>Instructions that may be executed per millisecond, on average; null for no limit. The guest's clock goes by the host's all the same.</summary>
    public ulong? InstructionsPerMillisecond { get; init; }
}
