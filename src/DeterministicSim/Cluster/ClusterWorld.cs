using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using FtAkka.Actors.Machines;
using FtAkka.DeterministicSim.Contract;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Cpu;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeviceActors.Disks;
using FtAkka.Machine;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;
using FtAkka.TinyGuests;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// One run: hosts with the real node actors, and around them everything that is simulated. Nothing in it depends on anything but scenario, plan
/// and seed.
/// </summary>
internal sealed class ClusterWorld : IDisposable
{
    /// <summary>Name of the one VM.</summary>
    public const string Vm = "vm";

    private const ulong DiskSectors = 2048;
    /// <summary>Speed of every machine, live or replaying: a round of the service guest takes some milliseconds.</summary>
    public const ulong InstructionsPerMillisecond = 1_000;
    private const ulong DigestInterval = 20_000;

    private static readonly byte[] GuestMac = [0x02, 0xf7, 0, 0, 0, 1];
    private static readonly byte[] Kernel = TinyGuest.Kernel;
    private static readonly VcpuOptions SmallCpu = new() { CodeCacheBytes = 1 << 20 };

    private readonly List<GuestMachine> _machines = [];
    private readonly SortedDictionary<int, SimulatedHost> _byNumber = [];
    private readonly List<SimulatedDisk> _openDisks = [];
    private readonly List<TimelineEvent> _timeline = [];
    private readonly bool _keepTimeline;
    private readonly StoredDisk _sharedDisk;

    public ClusterWorld(Simulation simulation, Scenario scenario, ImmutableArray<Fault> plan, RunOptions options)
    {
        (Simulation, Scenario, _keepTimeline) = (simulation, scenario, options.KeepTimeline);
        Random = SimulatedRandom.Stream(simulation.Seed, "world");
        Hosts = [.. scenario.Hosts.Select(name => new SimulatedHost(name))];
        Profile = new VmProfile
        {
            Name = Vm,
            CpuModel = Cpu.Architecture.CpuModel.V1Name,
            MemoryBytes = scenario.Guest.MemoryBytes,
            CommandLine = scenario.Guest.CommandLine,
            BootUnixSeconds = 946_684_800,
            RngSeed = simulation.Seed,
            // Other guests reset where something is wrong: that is to end the VM, and to be seen.
            OnReboot = GuestText.Reboots(scenario.Guest.CommandLine) ? EndPolicy.Restart : EndPolicy.Stop,
            Disks = scenario.Guest.Disk ? [new VmProfile.Disk("disk", ReadOnly: false, DiskSectors, scenario.Guest.OwnDisk, scenario.Guest.BackupReads)] : [],
            Nics = scenario.Guest.Nic
                ? [new VmProfile.Nic(NicTarget.Unix, "lan", Listen: true, Convert.ToHexString(GuestMac), 1500)] : [],
        };
        if (Profile.FindError() is { } wrong)
        {
            throw new ArgumentException($"The guest of {scenario.Name} cannot be built: {wrong}", nameof(scenario));
        }
        _sharedDisk = new StoredDisk(DiskSectors);
        Mutant = Mutant.Of(options.Mutation, this);
        Outside = new OutsideWorld(this, scenario.Guest.CommandLine);
        Demanded = Outside.IsDemanding && scenario.Guest.Disk ? new DemandedDisk(this, Outside.JournalSeed, (uint)DiskSectors) : null;
        Lan = new SimulatedLan(this, GuestMac);
        Checks = new ClusterChecks(this);
        Calm = new CalmWatch(this);
        GuestTime = new GuestTimeCheck(this);
        Digests = new PlantedDigests(this);
        Recording = options.Recording is null ? null : new VmRecording(Profile, Kernel, DigestInterval);
        Faults = new FaultInjector(this, plan);
        Moments = new MomentWatch(this);
        States = new StateWatch(this);
        Operator = new ClusterOperator(this);
        simulation.WatchMessages(Watch);
        simulation.WatchLog(Log);
        simulation.WatchFrames(Faults.FrameSeen);
        simulation.WatchConnections(Faults.ConnectionSeen);
    }

    public Simulation Simulation { get; }

    public Scenario Scenario { get; }

    public VmProfile Profile { get; }

    public ImmutableArray<SimulatedHost> Hosts { get; }

    public SimulatedRandom Random { get; }

    public ArbiterRecords Records { get; } = new();

    /// <summary>Whether each host has its own copy of the disk.</summary>
    public bool HasOwnDisks => Scenario.Guest.OwnDisk;

    /// <summary>The guest's disk as a host has it.</summary>
    public StoredDisk DiskOf(SimulatedHost host) => HasOwnDisks ? host.OwnDisk ??= new StoredDisk(DiskSectors) : _sharedDisk;

    public SimulatedLan Lan { get; }

    public OutsideWorld Outside { get; }

    /// <summary>What is known of the demanding guest's disk; null where the guest is another.</summary>
    public DemandedDisk? Demanded { get; }

    public ClusterChecks Checks { get; }

    public CalmWatch Calm { get; }

    public GuestTimeCheck GuestTime { get; }

    /// <summary>The VM's log, where it was asked for.</summary>
    public VmRecording? Recording { get; }

    public FaultInjector Faults { get; }

    public PlantedDigests Digests { get; }

    public MomentWatch Moments { get; }

    public StateWatch States { get; }

    public ClusterOperator Operator { get; }

    public Mutant Mutant { get; }

    public static ReadOnlyMemory<byte> KernelImage => Kernel;

    /// <summary>The first invariant that did not hold.</summary>
    public Violation? Violation { get; private set; }

    public ImmutableArray<TimelineEvent> Timeline => [.. _timeline];

    public SortedDictionary<FaultKind, long> Effects { get; } = [];

    /// <summary>How often each thing happened to connections.</summary>
    public SortedDictionary<ConnectionEvent, long> Connections { get; } = [];

    public TimeSpan Now => Simulation.Now;

    /// <summary>Whether a time line is kept: texts for it need not be made otherwise.</summary>
    public bool KeepsTimeline => _keepTimeline;

    /// <summary>The limits that all nodes have.</summary>
    public ProtectionOptions Protection { get; } = new();

    /// <summary>The live replica that owns the VM, if there is one.</summary>
    public TrackedReplica? Primary => Hosts.Select(host => host.Replica)
        .FirstOrDefault(replica => replica is not null && ReplicaRoles.IsLive(replica.Status.Role) && Owns(replica));

    /// <summary>The replica that is, or is about to be, the backup.</summary>
    public TrackedReplica? Backup => Hosts.Select(host => host.Replica).FirstOrDefault(replica =>
        replica?.Status.Role is ReplicaRole.BackupSyncing or ReplicaRole.Backup or ReplicaRole.GoingLive);

    /// <summary>The host that an operator means: a name or a role, which is empty for the primary. Null if nobody is that now.</summary>
    public SimulatedHost? Nearest(string name) => name switch
    {
        "" or FaultCatalog.Primary => Primary?.Host,
        FaultCatalog.Backup => Backup?.Host,
        _ => Host(name),
    };

    public SimulatedHost Host(string name) => Hosts.First(host => host.Name == name);

    public static bool IsAlive(SimulatedHost host, long incarnation) => host.System is not null && host.Incarnation == incarnation;

    public bool Owns(TrackedReplica replica) => IsOwner(replica.Host, replica.Incarnation);

    public bool IsOwner(SimulatedHost host, long incarnation) => Records.Newest?.Names(new ReplicaIdentity(Vm, host.Name, incarnation)) == true;

    /// <summary>A host's process begins.</summary>
    public void Start(SimulatedHost host)
    {
        Faults.BeforeStart(host);
        Calm.Disturbed();
        host.Incarnation++;
        host.IsPaused = false;
        host.System = Simulation.Start(host.Name, NodeConfig, NodeOptions.SystemName, host.Clock);
        _byNumber[Simulation.NumberOf(host.System)] = host;
        long incarnation = host.Incarnation;
        var arbiter = new SimulatedArbiter(this, host, incarnation);
        host.Node = host.System.ActorOf(NodeActor.Props(new NodeOptions
        {
            Name = host.Name,
            Incarnation = incarnation,
            Peers = Hosts.Where(other => other != host).ToImmutableSortedDictionary(other => other.Name, other => $"{other.Name}:4053"),
            Protection = Protection,
            Arbiter = arbiter,
            Devices = new SimulatedDevices(this, host, incarnation),
            AutoProtect = new AutoProtectOptions { Enabled = Scenario.AutoProtect },
            StopCopyTimeout = StopCopyTimeout,
            Adapt = definition => Adapt(host, incarnation, definition),
        }), NodeActor.Name);
        Tell(host.Name, TimelineKind.Operator, "starts");
    }

    /// <summary>Long enough for any copy of a simulated VM; a node that stops answers soon enough behind it.</summary>
    private static readonly TimeSpan StopCopyTimeout = TimeSpan.FromSeconds(4);

    /// <summary>A host loses its memory and its power, or its process ends.</summary>
    public void Crash(SimulatedHost host, string how = "crashes")
    {
        if (host.System is not { } system)
        {
            return;
        }
        Tell(host.Name, TimelineKind.Fault, how);
        Calm.Disturbed();
        States.Crashing(host);
        host.System = null;
        host.IsPaused = false;
        Simulation.Crash(system);
        foreach (SimulatedDisk disk in _openDisks.Where(disk => disk.Host == host).ToArray())
        {
            disk.Crash();
            _openDisks.Remove(disk);
        }
        Lan.Crashed(host);
    }

    public void Pause(SimulatedHost host)
    {
        if (host.IsRunning)
        {
            Tell(host.Name, TimelineKind.Fault, "stands still");
            Calm.Disturbed();
            host.IsPaused = true;
            Simulation.Pause(host.System!);
        }
    }

    public void Resume(SimulatedHost host)
    {
        if (host.IsPaused)
        {
            Tell(host.Name, TimelineKind.Fault, "goes on");
            Calm.Disturbed();
            host.IsPaused = false;
            Simulation.Resume(host.System!);
        }
    }

    /// <summary>A guest begins anew on a host, on the disk as it is: whoever looks from outside begins anew with it.</summary>
    private void Boot(SimulatedHost host)
    {
        // No node starts a VM whose former replica has not closed its disks.
        foreach (SimulatedDisk disk in _openDisks.ToArray())
        {
            disk.FinishIfClosed();
        }
        Outside.Restart(Profile.Disks.Length > 0 ? JournalRecord.CountGood(DiskOf(host).Content, Outside.JournalSeed) : 0);
        if (Profile.Nics.Length > 0)
        {
            Lan.Reset();
        }
        Checks.Restart();
    }

    public IDiskBackend OpenDisk(SimulatedHost host, long incarnation)
    {
        var disk = new SimulatedDisk(this, host, incarnation);
        _openDisks.Add(disk);
        return disk;
    }

    public void DiskClosed(SimulatedDisk disk) => _openDisks.Remove(disk);

    /// <summary>The arbiter has a new record.</summary>
    public void RecordCreated(SimulatedHost host, OwnershipClaim claim, OwnershipRecord? before, bool starts)
    {
        Calm.RecordCreated(claim, before, starts);
        if (starts && before is not null)
        {
            Operator.Verbs.Starts(host, before);
            Boot(host);
        }
        if (KeepsTimeline)
        {
            Tell(host.Name, TimelineKind.Role, string.Create(CultureInfo.InvariantCulture, $"owns generation {claim.Generation} by the arbiter"));
        }
        Simulation.Trace.Add($"record {claim.Generation} {host.Name} {claim.Replica.Incarnation}");
        Moments.RecordCreated(host, claim);
    }

    /// <summary>The host's wall clock, as it stands in records.</summary>
    public string WallClock(SimulatedHost host)
    {
        while (host.UnseenJumps > 0)
        {
            host.UnseenJumps--;
            Effect(FaultKind.ClockJump, host.Name);
        }
        return host.Clock.WallClockAt(Now).ToString("c", CultureInfo.InvariantCulture);
    }

    /// <summary>A fault took effect.</summary>
    public void Effect(FaultKind kind, string host, string? detail = null)
    {
        Effects[kind] = Effects.GetValueOrDefault(kind) + 1;
        if (KeepsTimeline)
        {
            Tell(host, TimelineKind.Fault, detail ?? $"{kind} took effect");
        }
    }

    /// <summary>An invariant does not hold: the run ends here.</summary>
    public void Fail(string invariant, string detail)
    {
        if (Violation is null)
        {
            Violation = new Violation(invariant, Now, detail);
            Tell("", TimelineKind.Violation, $"{invariant}: {detail}");
            Simulation.Trace.Add($"violation {invariant} {detail}");
        }
    }

    public void Tell(string host, TimelineKind kind, string text, string? to = null)
    {
        if (KeepsTimeline)
        {
            _timeline.Add(new TimelineEvent(Now, host, kind, text, to));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (GuestMachine machine in _machines)
        {
            machine.Dispose();
        }
        _sharedDisk.Dispose();
        foreach (SimulatedHost host in Hosts)
        {
            host.OwnDisk?.Dispose();
        }
    }

    private static Config NodeConfig { get; } = ConfigurationFactory.ParseString("""
        akka {
          loglevel = INFO
          actor {
            serializers.ftakka = "FtAkka.LogChannelActors.WireMessageSerializer, FtAkka.LogChannelActors"
            serialization-bindings."FtAkka.Replication.Messages.IWireMessage, FtAkka.Replication" = ftakka
          }
          remote.ftakka-tcp.maximum-frame-size = 33554432b
        }
        """);

    private ReplicaDefinition Adapt(SimulatedHost host, long incarnation, ReplicaDefinition definition)
    {
        TrackedReplica? tracked = null;
        GuestMachine? made = null;
        var contract = new PerformerContract();
        OutputMarks marks = Checks.Outputs.Watch();
        var steps = new StepChecks(this, host);
        var port = new WatchedPort(this, host, definition.Shell.Port, () => tracked);
        ReplicaDefinition? adapted = null;
        return adapted = definition with
        {
            Shell = definition.Shell with
            {
                Port = port,
                Setup = definition.Shell.Setup with
                {
                    Protection = Mutant.Limits(Faults.Limit(definition.Shell.Setup.Protection)),
                    CloneLimits = Faults.Limit(definition.Shell.Setup.CloneLimits),
                },
                Stepped = (input, effects) =>
                {
                    if (contract.Stepped(input, effects) is { } broken)
                    {
                        Fail(Invariant.PerformerContract, $"{host.Name}: {broken}");
                    }
                    marks.Stepped(input, effects);
                    States.Stepped(host, tracked?.Status.Role ?? ReplicaRole.Solo, effects);
                    steps.Stepped(input, effects);
                    Moments.Stepped(host, effects);
                    steps.Throw();
                },
                Recorded = Recording is null ? null : Recording.Recorded,
                InBackground = work =>
                {
                    if (IsAlive(host, incarnation))
                    {
                        Simulation.Schedule(host.System!, Random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(30)), work);
                    }
                },
            },
            DigestInterval = DigestInterval,
            Machine = definition.Machine with
            {
                CpuOptions = SmallCpu,
                InstructionsPerMillisecond = InstructionsPerMillisecond,
                CreateMachine = options =>
                {
                    var machine = new GuestMachine(options.Config, options.CpuOptions);
                    _machines.Add(machine);
                    made = machine;
                    tracked?.Machine = machine;
                    return machine;
                },
            },
            Created = handle =>
            {
                definition.Created(handle);
                tracked = new TrackedReplica(host, incarnation, handle, marks, steps) { Machine = made };
                Checks.ReplicaBegins(host);
                host.Replicas.Add(tracked);
                Mutant.Created(host, adapted!);
            },
            Ended = end =>
            {
                definition.Ended(end);
                if (tracked is not null)
                {
                    tracked.End = end;
                    Checks.ReplicaEnded(tracked, end);
                }
            },
        };
    }

    private void Watch(int system, IActorRef receiver, object message)
    {
        if (_byNumber.TryGetValue(system, out SimulatedHost? host))
        {
            Moments.Message(host, receiver, message);
            Faults.MessageSeen(host);
        }
    }

    private void Log(LogEvent entry)
    {
        if (entry.LogLevel() >= LogLevel.InfoLevel && KeepsTimeline)
        {
            Tell("", TimelineKind.Log, $"{entry.LogSource}: {entry.Message}");
        }
        if (entry.LogLevel() == LogLevel.ErrorLevel && !IsEndOfConnection(entry) && entry.Cause is not PlantedException)
        {
            Fail("no-failure", $"{entry.LogSource}: {entry.Message} {entry.Cause}");
        }
    }

    /// <summary>Akka logs the end of an endpoint as a failure of its actor, whatever ended the connection.</summary>
    private static bool IsEndOfConnection(LogEvent entry) =>
        entry.Cause?.GetType().FullName is "Akka.Remote.EndpointDisassociatedException" or "Akka.Remote.InvalidAssociation" or "Akka.Remote.ShutDownAssociation";

    /// <summary>Instructions that live machines have executed.</summary>
    public ulong Instructions => Hosts.SelectMany(host => host.Replicas).Select(replica => replica.Status.Icount).DefaultIfEmpty().Max();
}
