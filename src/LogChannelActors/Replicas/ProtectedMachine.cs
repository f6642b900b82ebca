using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// The live machine of a replica, seen from the machine's thread: records what it runs, and tells the replica's actor of entries, outputs, and what devices have
/// done. Used on the machine's thread, but for the start and end of the <see cref="BlockLog"/>.
/// </summary>
internal sealed class ProtectedMachine : IMachineRunner, IMachineObserver
{
    /// <summary>Machine to its replica's actor: the devices are open, and the machine waits for <see cref="MachineProtocol.Run"/>.</summary>
    public sealed record Ready(ProtectedMachine Machine, IActorRef Actor, IReadOnlyList<DeviceLink> Devices, int PageCount);

    private readonly IActorRef replica;
    private readonly ReplicaHandle handle;
    private readonly ReplicaShellOptions options;
    private readonly ulong digestInterval;
    private readonly LogPosition position;
    private readonly Action taken;
    private MachineRecorder? recorder;
    private CopySource? source;
    private ulong toldIcount;

    /// <param name="replica">The replica's actor.</param>
    /// <param name="handle">Tells whether there is a peer.</param>
    /// <param name="options">What the replica works with.</param>
    /// <param name="digestInterval">Instructions between digests in the log.</param>
    /// <param name="position">The machine's log goes on after this.</param>
    /// <param name="taken">Told on the machine's thread that its actor owns the machine now.</param>
    public ProtectedMachine(IActorRef replica, ReplicaHandle handle, ReplicaShellOptions options, ulong digestInterval, LogPosition position, Action taken)
    {
        (this.replica, this.handle, this.options, this.digestInterval, this.position, this.taken) = (replica, handle, options, digestInterval, position, taken);
        Blocks = new BlockLog(options.Setup.Protection);
    }

    /// <summary>Changes of separate disks.</summary>
    public BlockLog Blocks { get; }

    /// <inheritdoc/>
    public GuestMachine Machine => Recorder.Machine;

    private MachineRecorder Recorder => recorder ?? throw new InvalidOperationException("The machine is not built yet.");

    /// <summary>Puts this runner around a machine, once.</summary>
    public ProtectedMachine Around(GuestMachine guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        recorder = new MachineRecorder(guest, digestInterval, position) { DigestTaken = Witnessed };
        foreach ((int disk, DiskRequest request) in guest.OutstandingDiskRequests)
        {
            Blocks.Issued(disk, request);
        }
        return this;
    }

    /// <inheritdoc/>
    public MachineExit Run(ulong maxInstructions)
    {
        MachineExit exit = Recorder.Run(maxInstructions);
        IReadOnlyList<LogEntry> entries = Recorder.TakeEntries();
        Blocks.Made(exit.Effects);
        if (entries.Count > 0 || exit.Effects.Count > 0 || exit.Icount != toldIcount)
        {
            toldIcount = exit.Icount;
            options.Recorded?.Invoke(entries);
            replica.Tell(new ReplicaInput.Recorded(entries, exit.Effects, exit.Icount), ActorRefs.NoSender);
        }
        return exit;
    }

    /// <inheritdoc/>
    public void Inject(InputEvent input) => Recorder.Inject(input);

    /// <inheritdoc/>
    public void Started(IActorRef machine, GuestMachine guest, IReadOnlyList<DeviceLink> devices)
    {
        ArgumentNullException.ThrowIfNull(guest);
        taken();
        replica.Tell(new Ready(this, machine, devices, CopySource.PageCountOf(guest)), ActorRefs.NoSender);
    }

    /// <inheritdoc/>
    public void Heard(DeviceLink device, DeviceNews news)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(news);
        foreach (InputEvent input in news.Inputs)
        {
            if (input is DiskCompleted completed)
            {
                Blocks.Ended(completed.Disk, completed.Completion.Id);
                replica.Tell(new ReplicaInput.DiskRequestEnded(completed.Disk, completed.Completion.Id, completed.Completion.Status), ActorRefs.NoSender);
            }
        }
        if (news.ConsoleTakenTo is { } position)
        {
            replica.Tell(new ReplicaInput.ConsoleTaken((ConsoleKind)device.Index, position), ActorRefs.NoSender);
        }
    }

    /// <summary>Records what the machine was given, though it may not execute.</summary>
    public void Flush()
    {
        Run(0);
        replica.Tell(new ReplicaInput.Flushed(), ActorRefs.NoSender);
    }

    /// <summary>Reads something for the copy of a session.</summary>
    public void Read(ChannelSession session, CloneSenderEffect.Work work)
    {
        source ??= new CopySource(Machine);
        switch (work)
        {
            case CloneSenderEffect.StartDirtyLog:
                source.Start();
                break;
            case CloneSenderEffect.ReadPages read:
                Answer(session, new CloneSenderInput.PagesRead(source.Read(read.Pages)));
                break;
            case CloneSenderEffect.CollectDirty:
                Answer(session, new CloneSenderInput.DirtyCollected(source.Collect(), Blocks.Collect()));
                break;
            case CloneSenderEffect.PauseAndCapture capture:
                TimeSpan begin = options.Clock();
                // What was injected and not run yet may have outputs, which belong before the copy.
                Run(0);
                FinalCapture captured = source.Capture(Recorder.Position, capture.AlsoPages);
                Answer(session, new CloneSenderInput.Captured(captured with { Blocks = Blocks.Collect(), Pause = options.Clock() - begin }));
                break;
            default:
                throw new InvalidOperationException($"The machine does not perform {work}.");
        }
    }

    /// <summary>Nothing more is read for the copy.</summary>
    public void EndCopy()
    {
        source?.Dispose();
        source = null;
    }

    private void Answer(ChannelSession session, CloneSenderInput result) => replica.Tell(new ReplicaInput.CopyRead(session, result), ActorRefs.NoSender);

    /// <summary>The machine has just taken a digest for the log.</summary>
    private void Witnessed(GuestMachine at, IReadOnlyList<PageDigest> pages)
    {
        if (handle.PeerNode is not null)
        {
            replica.Tell(new ReplicaInput.Witnessed(StateWitness.Of(at, pages)), ActorRefs.NoSender);
        }
    }
}
