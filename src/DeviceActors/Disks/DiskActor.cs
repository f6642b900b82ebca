using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;

namespace FtAkka.DeviceActors.Disks;

/// <summary>
/// Issues the requests of one virtual disk to its storage, conflicting ones in submission order (<see cref="RequestSerializer"/>), and
/// answers each to its sender. Owns the backend: closes it when it stops.
/// </summary>
public sealed class DiskActor : ReceiveActor
{
    /// <summary>Name in the configuration of the dispatcher for disks over real storage, whose requests may keep the actor's thread for a while.</summary>
    public const string DispatcherId = "disk-dispatcher";

    /// <summary>
    /// Requests running and held at most; more is a mistake of the sender. A live virtual device holds far fewer (queue size times queue count). A backup whose disk
    /// is slower than the primary's owes as many as its output gate keeps before replay is held, and those of the turn that filled it.
    /// </summary>
    public const int RequestsMax = 32 * 1024;

    private sealed record Ended(ulong Id, DiskOutcome Outcome);

    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly RequestSerializer serializer = new(RequestsMax);
    private readonly Dictionary<ulong, (IActorRef Sender, DiskRequest Request)> outstanding = [];
    private readonly List<IActorRef> drainWaiters = [];
    private readonly LineLimit failures = new(), refusals = new();
    private readonly IDiskBackend backend;

    /// <summary>A disk over <paramref name="backend"/>.</summary>
    public DiskActor(IDiskBackend backend)
    {
        this.backend = backend;
        Receive<DiskProtocol.Execute>(message => Submit(message.Request));
        Receive<Ended>(Finish);
        Receive<DiskProtocol.Drain>(_ =>
        {
            drainWaiters.Add(Sender);
            AnswerDrainWaiters();
        });
    }

    /// <summary>Props of a disk that owns <paramref name="backend"/>.</summary>
    public static Props Props(IDiskBackend backend) => Akka.Actor.Props.Create(() => new DiskActor(backend));

    private static TimeSpan Now => Context.System.Scheduler.HighResMonotonicClock;

    /// <inheritdoc/>
    protected override void PostStop() => backend.Dispose();

    private void Submit(DiskRequest request)
    {
        switch (serializer.Submit(request))
        {
            case RequestAdmission.Start:
                outstanding.Add(request.Id, (Sender, request));
                Issue([request]);
                break;
            case RequestAdmission.Held:
                outstanding.Add(request.Id, (Sender, request));
                break;
            case RequestAdmission.Full:
                if (refusals.TryTake(Now, out string refusedToo))
                {
                    log.Error("Disk request {0} refused: {1} requests are outstanding already{2}", request.Id, RequestsMax, refusedToo);
                }
                Sender.Tell(new DiskProtocol.Completed(new DiskCompletion(request.Id, DiskStatus.IoError, []), "The disk's queue is full."));
                break;
            case RequestAdmission.Duplicate:
                // A replica that goes live issues again what may be running here already: the answer goes to whoever asked last.
                outstanding[request.Id] = (Sender, outstanding[request.Id].Request);
                break;
            default:
                throw new InvalidOperationException("Unknown admission.");
        }
    }

    /// <summary>Issues requests, and those that they held up if they end at once.</summary>
    private void Issue(ImmutableArray<DiskRequest> startable)
    {
        var toIssue = new Queue<DiskRequest>(startable);
        while (toIssue.TryDequeue(out DiskRequest? request))
        {
            if (backend.TryExecuteAtOnce(request) is { } outcome)
            {
                foreach (DiskRequest next in Complete(outcome))
                {
                    toIssue.Enqueue(next);
                }
                continue;
            }
            ulong id = request.Id;
            backend.ExecuteAsync(request).PipeTo(
                Self,
                useConfigureAwait: true,
                success: ended => new Ended(id, ended),
                failure: error => new Ended(id, new DiskOutcome(new DiskCompletion(id, DiskStatus.IoError, []), error.Message)));
        }
    }

    private void Finish(Ended ended)
    {
        if (outstanding.ContainsKey(ended.Id))
        {
            Issue(Complete(ended.Outcome));
            AnswerDrainWaiters();
        }
    }

    /// <summary>Answers a request that has ended. Returns those that need not wait for it any longer.</summary>
    private ImmutableArray<DiskRequest> Complete(DiskOutcome outcome)
    {
        ulong id = outcome.Completion.Id;
        outstanding.Remove(id, out (IActorRef Sender, DiskRequest Request) entry);
        if (outcome.Completion.Status != DiskStatus.Ok && failures.TryTake(Now, out string failedToo))
        {
            log.Warning("Disk request {0} ({1}, sector {2}, {3} bytes) failed: {4}{5}",
                id, entry.Request.Kind, entry.Request.Sector, entry.Request.LengthBytes, outcome.HostError, failedToo);
        }
        entry.Sender.Tell(new DiskProtocol.Completed(outcome.Completion, outcome.HostError));
        return serializer.Complete(id);
    }

    private void AnswerDrainWaiters()
    {
        if (outstanding.Count > 0)
        {
            return;
        }
        foreach (IActorRef waiter in drainWaiters)
        {
            waiter.Tell(new DiskProtocol.Drained());
        }
        drainWaiters.Clear();
    }
}
