using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>What a console actor is started with.</summary>
public sealed record ConsoleOptions
{
    /// <summary>Position of the first output byte expected: 0 at power-on; on a replica that goes live, what was released before.</summary>
    public ulong StartOffset { get; init; }

    /// <summary>Output kept while nobody takes it; a client that connects later gets it. The oldest bytes beyond are lost.</summary>
    public int HeldOutputBytesMax { get; init; } = 1024 * 1024;

    /// <summary>Whether Ctrl-A is the escape key, as on an interactive terminal.</summary>
    public bool EscapeKey { get; init; }
}

/// <summary>
/// Carries bytes between a guest's console and a link, each output byte once by its position in the stream. Owns the link: closes it
/// when it stops.
/// </summary>
public sealed class ConsoleActor : ReceiveActor
{
    private sealed record ReceiveEnded(ConsoleLinkInput Input);

    private sealed record ReceiveBroke(string Reason);

    private sealed record SendEnded(bool Sent, string? Error);

    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly LineLimit losses = new(), failures = new();
    private readonly List<IActorRef> drainWaiters = [];
    private readonly IConsoleLink link;
    private readonly OutputBuffer output;
    private readonly EscapeFilter? escape;
    private IActorRef? owner;
    private bool connected;
    private bool receiving;
    private bool sending;
    private bool awaitingCredit;
    private ulong inputOffset;
    private ulong reportedLoss;

    /// <summary>A console on <paramref name="link"/>.</summary>
    public ConsoleActor(IConsoleLink link, ConsoleOptions options)
    {
        this.link = link;
        output = new OutputBuffer(options.StartOffset, options.HeldOutputBytesMax);
        escape = options.EscapeKey ? new EscapeFilter() : null;
        connected = link.ConnectedAtStart;
        Receive<ConsoleProtocol.Write>(Accept);
        Receive<ConsoleProtocol.Attach>(_ =>
        {
            owner = Sender;
            awaitingCredit = false;
            StartReceive();
        });
        Receive<ConsoleProtocol.InputMore>(_ =>
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
            log.Error("Console input failed: {0}", message.Reason);
            owner?.Tell(new ConsoleProtocol.InputFailed(message.Reason));
        });
        Receive<SendEnded>(message =>
        {
            sending = false;
            if (message.Error is not null && failures.TryTake(Now, out string failedToo))
            {
                log.Error("Console output failed: {0}{1}", message.Error, failedToo);
            }
            connected &= message.Sent;   // Whether there is another peer, the receive will tell.
            StartSend();
            StartReceive();
            AnswerDrainWaiters();
        });
        Receive<ConsoleProtocol.Drain>(_ =>
        {
            drainWaiters.Add(Sender);
            AnswerDrainWaiters();
        });
    }

    /// <summary>Props of a console that owns <paramref name="link"/>.</summary>
    public static Props Props(IConsoleLink link, ConsoleOptions options) => Akka.Actor.Props.Create(() => new ConsoleActor(link, options));

    private static TimeSpan Now => Context.System.Scheduler.HighResMonotonicClock;

    /// <inheritdoc/>
    protected override void PreStart() => StartReceive();

    /// <inheritdoc/>
    protected override void PostStop() => link.Dispose();

    private void Accept(ConsoleProtocol.Write message)
    {
        output.Append(message.Offset, message.Bytes.AsSpan());
        // The bytes count on until the next line, so that it need not say how many were kept back.
        if (output.LostBytes != reportedLoss && connected && losses.TryTake(Now, out _))
        {
            log.Warning("{0} bytes of console output were lost before position {1}", output.LostBytes - reportedLoss, output.FirstOffset);
            reportedLoss = output.LostBytes;
        }
        Sender.Tell(new ConsoleProtocol.Written(output.NextOffset));
        StartSend();
    }

    private void StartSend()
    {
        if (sending || !connected || output.Count == 0)
        {
            return;
        }
        sending = true;
        byte[] bytes = output.TakeAll(out ulong offset);
        SendAsync(offset, bytes).PipeTo(
            Self,
            useConfigureAwait: true,
            success: sent => new SendEnded(sent, null),
            failure: error => new SendEnded(true, error.Message));   // A full disk is no lost peer.
    }

    private void AnswerDrainWaiters()
    {
        if (sending || (connected && output.Count > 0))
        {
            return;
        }
        foreach (IActorRef waiter in drainWaiters)
        {
            waiter.Tell(new ConsoleProtocol.Drained());
        }
        drainWaiters.Clear();
    }

    // An asynchronous method turns an exception thrown at once, as a full disk gives, into a faulted task.
    private async Task<bool> SendAsync(ulong offset, byte[] bytes) => await link.SendAsync(offset, bytes).ConfigureAwait(true);

    private void StartReceive()
    {
        // Before anybody is attached the link is watched for a peer, but nothing that is typed is taken.
        if (receiving || awaitingCredit || (owner is null && connected))
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

    private void Deliver(ConsoleLinkInput input)
    {
        receiving = false;
        connected = input.Connected;
        if (!input.Bytes.IsEmpty && owner is not null)
        {
            bool leave = false;
            ImmutableArray<byte> bytes = escape?.Filter(input.Bytes.AsSpan(), out leave) ?? input.Bytes;
            if (!bytes.IsEmpty)
            {
                awaitingCredit = true;
                owner.Tell(new ConsoleProtocol.Input(inputOffset, bytes));
                inputOffset += (ulong)bytes.Length;
            }
            if (leave)
            {
                owner.Tell(new ConsoleProtocol.LeaveRequested());
            }
        }
        StartSend();
        StartReceive();
    }
}
