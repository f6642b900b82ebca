using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;

namespace FtAkka.DeviceActors.Nics;

/// <summary>
/// Carries frames between a virtual network card and a link. One receive and one send are under way at a time; frames to send wait in
/// a bounded queue, whose overflow is dropped. Owns the link: closes it when it stops.
/// </summary>
public sealed class NicActor : ReceiveActor
{
    /// <summary>Name in the configuration of the dispatcher for cards with a real link, into which their actor writes itself.</summary>
    public const string DispatcherId = "nic-dispatcher";

    /// <summary>Frames that wait for a slow link; further ones are dropped.</summary>
    public const int QueuedFramesMax = 4096;

    /// <summary>Bytes of the same. So many frames of the usual size have less; the link may have as much once more, which it is sending.</summary>
    public const int QueuedBytesMax = 8 << 20;

    private sealed record ReceiveEnded(LinkInput Input);

    private sealed record ReceiveBroke(string Reason);

    private sealed record SendEnded;

    private sealed record AnnounceAgain(ImmutableArray<byte> Mac);

    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly IFrameLink link;
    private readonly Queue<ImmutableArray<byte>> queue = new();
    private int queuedBytes;
    private IActorRef? owner;
    private bool receiving;
    private bool sending;
    private bool awaitingCredit;
    private bool connected;
    private readonly List<ICancelable> announcements = [];

    /// <summary>A card on <paramref name="link"/>.</summary>
    public NicActor(IFrameLink link, ImmutableArray<TimeSpan> announceAgain)
    {
        this.link = link;
        connected = link.ConnectedAtStart;
        Receive<NicProtocol.Transmit>(message => Enqueue(message.Frames));
        Receive<NicProtocol.Announce>(message =>
        {
            Enqueue([RarpAnnouncement.Build(message.Mac.AsSpan())]);
            announcements.AddRange(announceAgain.Select(later =>
                Context.System.Scheduler.ScheduleTellOnceCancelable(later, Self, new AnnounceAgain(message.Mac), Self)));
        });
        Receive<AnnounceAgain>(message => Enqueue([RarpAnnouncement.Build(message.Mac.AsSpan())]));
        Receive<NicProtocol.Attach>(_ =>
        {
            owner = Sender;
            awaitingCredit = false;
            owner.Tell(new NicProtocol.LinkState(connected));
            StartReceive();
        });
        Receive<NicProtocol.ReceiveMore>(_ =>
        {
            if (Sender.Equals(owner))
            {
                awaitingCredit = false;
                StartReceive();
            }
        });
        Receive<ReceiveEnded>(message => Deliver(message.Input));
        Receive<ReceiveBroke>(message =>
        {
            connected = false;
            log.Error("The network link failed: {0}", message.Reason);
            owner?.Tell(new NicProtocol.LinkFailed(message.Reason));
        });
        Receive<SendEnded>(_ =>
        {
            sending = false;
            StartSend();
        });
    }

    /// <summary>Props of a card that owns <paramref name="link"/>.</summary>
    /// <param name="link">What it is connected to.</param>
    /// <param name="announceAgain">How long after an announcement it is repeated: a switch may not listen to a port that has only just come up.</param>
    public static Props Props(IFrameLink link, ImmutableArray<TimeSpan> announceAgain) => Akka.Actor.Props.Create(() => new NicActor(link, announceAgain));

    /// <summary>Props of a card that announces once.</summary>
    public static Props Props(IFrameLink link) => Props(link, []);

    /// <inheritdoc/>
    protected override void PostStop()
    {
        announcements.ForEach(later => later.Cancel());
        link.Dispose();
    }

    private void Enqueue(ImmutableArray<ImmutableArray<byte>> frames)
    {
        foreach (ImmutableArray<byte> frame in frames)
        {
            if (queue.Count >= QueuedFramesMax || queuedBytes + frame.Length > QueuedBytesMax)
            {
                break;
            }
            queue.Enqueue(frame);
            queuedBytes += frame.Length;
        }
        StartSend();
    }

    private void StartSend()
    {
        if (sending || queue.Count == 0)
        {
            return;
        }
        sending = true;
        ImmutableArray<ImmutableArray<byte>> batch = [.. queue];
        queue.Clear();
        queuedBytes = 0;
        link.SendAsync(batch).PipeTo(
            Self,
            useConfigureAwait: true,
            success: _ => new SendEnded(),
            failure: _ => new SendEnded());
    }

    private void StartReceive()
    {
        if (receiving || awaitingCredit || owner is null)
        {
            return;
        }
        receiving = true;
        link.ReceiveAsync().PipeTo(
            Self,
            useConfigureAwait: true,
            success: input => new ReceiveEnded(input),
            failure: error => new ReceiveBroke(error.Message));
    }

    private void Deliver(LinkInput input)
    {
        receiving = false;
        if (input.Connected != connected)
        {
            connected = input.Connected;
            owner?.Tell(new NicProtocol.LinkState(connected));
        }
        if (!input.Frames.IsEmpty)
        {
            awaitingCredit = true;
            owner?.Tell(new NicProtocol.Received(input.Frames));
        }
        StartReceive();
    }
}
