using System.Diagnostics.CodeAnalysis;

namespace Akka.TestKit;

/// <summary>What a test actor has received and the test has not looked at yet. Any thread may add; the test takes.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A SemaphoreSlim whose wait handle is never asked for holds no resource; late messages may come after the test.")]
internal sealed class ReceivedMessages
{
    private readonly LinkedList<MessageEnvelope> waiting = new();
    private readonly SemaphoreSlim available = new(0);

    public int Count
    {
        get
        {
            lock (waiting)
            {
                return waiting.Count;
            }
        }
    }

    public void Add(MessageEnvelope envelope)
    {
        lock (waiting)
        {
            waiting.AddLast(envelope);
        }
        available.Release();
    }

    /// <summary>Waits for a message. Zero looks without waiting.</summary>
    /// <returns>The oldest message, or null when none came in time.</returns>
    public MessageEnvelope? Take(TimeSpan wait, CancellationToken cancellationToken) =>
        available.Wait(AtLeastZero(wait), cancellationToken) ? RemoveFirst() : null;

    /// <inheritdoc cref="Take"/>
    public async ValueTask<MessageEnvelope?> TakeAsync(TimeSpan wait, CancellationToken cancellationToken) =>
        await available.WaitAsync(AtLeastZero(wait), cancellationToken) ? RemoveFirst() : null;

    private static TimeSpan AtLeastZero(TimeSpan wait) => wait < TimeSpan.Zero ? TimeSpan.Zero : wait;

    private MessageEnvelope RemoveFirst()
    {
        lock (waiting)
        {
            MessageEnvelope first = waiting.First!.Value;
            waiting.RemoveFirst();
            return first;
        }
    }
}
