using Akka.Actor;
using Xunit;

namespace Akka.TestKit;

public abstract partial class TestKitBase
{
    /// <summary>Takes the next message, which must be a <typeparamref name="T"/> and come in time.</summary>
    public T ExpectMsg<T>(TimeSpan? duration = null, string? hint = null, CancellationToken cancellationToken = default) =>
        Check<T>(ReceiveNext(duration, hint, typeof(T).Name, cancellationToken), hint);

    /// <summary>Takes the next message, which must equal <paramref name="message"/>.</summary>
    public T ExpectMsg<T>(T message, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        T actual = Check<T>(ReceiveNext(timeout, hint, $"{message}", cancellationToken), hint);
        Assert.Equal(message, actual);
        return actual;
    }

    /// <summary>Takes the next message, for which <paramref name="isMessage"/> must hold.</summary>
    public T ExpectMsg<T>(Predicate<T> isMessage, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(isMessage);
        T actual = Check<T>(ReceiveNext(timeout, hint, typeof(T).Name, cancellationToken), hint);
        Assert.True(isMessage(actual), $"Received {actual}, for which the predicate does not hold. {hint}");
        return actual;
    }

    /// <summary>Takes the next message and hands it to <paramref name="assert"/>.</summary>
    public T ExpectMsg<T>(Action<T> assert, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(assert);
        T actual = Check<T>(ReceiveNext(timeout, hint, typeof(T).Name, cancellationToken), hint);
        assert(actual);
        return actual;
    }

    /// <summary>Takes the next message, which must come from <paramref name="sender"/>.</summary>
    public T ExpectMsgFrom<T>(IActorRef sender, TimeSpan? duration = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        T actual = ExpectMsg<T>(duration, hint, cancellationToken);
        Assert.Equal(sender, LastSender);
        return actual;
    }

    /// <summary>Takes as many messages as are given, which must equal them in any order.</summary>
    public IReadOnlyCollection<T> ExpectMsgAllOf<T>(IReadOnlyCollection<T> messages, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var missing = messages.ToList();
        var actual = new List<T>();
        foreach (T _ in messages)
        {
            T message = Check<T>(ReceiveNext(null, null, string.Join(", ", missing), cancellationToken), null);
            Assert.True(missing.Remove(message), $"Received {message}; expected, in any order: {string.Join(", ", missing)}.");
            actual.Add(message);
        }
        return actual;
    }

    /// <summary>Takes the message that says that <paramref name="target"/>, watched before, has stopped.</summary>
    public Terminated ExpectTerminated(IActorRef target, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default) =>
        ExpectMsg<Terminated>(terminated => terminated.ActorRef.Equals(target), timeout, hint, cancellationToken);

    /// <summary>Fails when a message comes while it listens, for the configured default time.</summary>
    public void ExpectNoMsg(CancellationToken cancellationToken = default) => ExpectNoMsg(TestKitSettings.ExpectNoMessageDefault, cancellationToken);

    /// <summary>Fails when a message comes within <paramref name="duration"/>.</summary>
    public void ExpectNoMsg(TimeSpan duration, CancellationToken cancellationToken = default) =>
        RefuseMessage(received.Take(Dilated(duration), cancellationToken));

    /// <inheritdoc cref="ExpectMsg{T}(TimeSpan?, string?, CancellationToken)"/>
    public async ValueTask<T> ExpectMsgAsync<T>(TimeSpan? duration = null, string? hint = null, CancellationToken cancellationToken = default) =>
        Check<T>(await ReceiveNextAsync(duration, hint, typeof(T).Name, cancellationToken), hint);

    /// <inheritdoc cref="ExpectMsg{T}(T, TimeSpan?, string?, CancellationToken)"/>
    public async ValueTask<T> ExpectMsgAsync<T>(T message, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        T actual = Check<T>(await ReceiveNextAsync(timeout, hint, $"{message}", cancellationToken), hint);
        Assert.Equal(message, actual);
        return actual;
    }

    /// <inheritdoc cref="ExpectMsg{T}(Predicate{T}, TimeSpan?, string?, CancellationToken)"/>
    public async ValueTask<T> ExpectMsgAsync<T>(Predicate<T> isMessage, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(isMessage);
        T actual = Check<T>(await ReceiveNextAsync(timeout, hint, typeof(T).Name, cancellationToken), hint);
        Assert.True(isMessage(actual), $"Received {actual}, for which the predicate does not hold. {hint}");
        return actual;
    }

    /// <inheritdoc cref="ExpectTerminated"/>
    public ValueTask<Terminated> ExpectTerminatedAsync(IActorRef target, TimeSpan? timeout = null, string? hint = null, CancellationToken cancellationToken = default) =>
        ExpectMsgAsync<Terminated>(terminated => terminated.ActorRef.Equals(target), timeout, hint, cancellationToken);

    /// <inheritdoc cref="ExpectNoMsg(CancellationToken)"/>
    public ValueTask ExpectNoMsgAsync(CancellationToken cancellationToken = default) =>
        ExpectNoMsgAsync(TestKitSettings.ExpectNoMessageDefault, cancellationToken);

    /// <inheritdoc cref="ExpectNoMsg(TimeSpan, CancellationToken)"/>
    public async ValueTask ExpectNoMsgAsync(TimeSpan duration, CancellationToken cancellationToken = default) =>
        RefuseMessage(await received.TakeAsync(Dilated(duration), cancellationToken));

    /// <summary>Takes messages until one is a <typeparamref name="T"/> for which <paramref name="isMessage"/> holds.</summary>
    public T FishForMessage<T>(Predicate<T> isMessage, TimeSpan? max = null, string hint = "", CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(isMessage);
        DateTime deadline = DateTime.UtcNow + RemainingOrDilated(max);
        while (true)
        {
            object message = Require(received.Take(deadline - DateTime.UtcNow, cancellationToken), hint, typeof(T).Name);
            if (message is T wanted && isMessage(wanted))
            {
                return wanted;
            }
        }
    }

    /// <inheritdoc cref="FishForMessage{T}"/>
    public object FishForMessage(Predicate<object> isMessage, TimeSpan? max = null, string hint = "", CancellationToken cancellationToken = default) =>
        FishForMessage<object>(isMessage, max, hint, cancellationToken);

    /// <summary>Takes the next message, or null when none comes in time.</summary>
    public object? ReceiveOne(TimeSpan? max = null, CancellationToken cancellationToken = default)
    {
        if (received.Take(RemainingOrDilated(max), cancellationToken) is not { } envelope)
        {
            return null;
        }
        last = envelope;
        return envelope.Message;
    }

    /// <inheritdoc cref="ReceiveOne"/>
    public async ValueTask<object?> ReceiveOneAsync(TimeSpan? max = null, CancellationToken cancellationToken = default)
    {
        if (await received.TakeAsync(RemainingOrDilated(max), cancellationToken) is not { } envelope)
        {
            return null;
        }
        last = envelope;
        return envelope.Message;
    }

    /// <summary>Takes exactly <paramref name="numberOfMessages"/> messages.</summary>
    public IReadOnlyCollection<object> ReceiveN(int numberOfMessages, CancellationToken cancellationToken = default) =>
        ReceiveN(numberOfMessages, RemainingOrDefault, cancellationToken);

    /// <summary>Takes exactly <paramref name="numberOfMessages"/> messages, all within <paramref name="max"/>.</summary>
    public IReadOnlyCollection<object> ReceiveN(int numberOfMessages, TimeSpan max, CancellationToken cancellationToken = default)
    {
        DateTime deadline = DateTime.UtcNow + Dilated(max);
        var messages = new List<object>(numberOfMessages);
        for (int i = 0; i < numberOfMessages; i++)
        {
            MessageEnvelope? next = received.Take(deadline - DateTime.UtcNow, cancellationToken);
            messages.Add(Require(next, $"got {i} of {numberOfMessages} messages", "a message"));
        }
        return messages;
    }

    private object ReceiveNext(TimeSpan? duration, string? hint, string expected, CancellationToken cancellationToken) =>
        Require(received.Take(RemainingOrDilated(duration), cancellationToken), hint, expected);

    private async ValueTask<object> ReceiveNextAsync(TimeSpan? duration, string? hint, string expected, CancellationToken cancellationToken) =>
        Require(await received.TakeAsync(RemainingOrDilated(duration), cancellationToken), hint, expected);

    private object Require(MessageEnvelope? envelope, string? hint, string expected)
    {
        Assert.True(envelope is not null, $"Timed out while waiting for {expected}. {hint}");
        last = envelope;
        return envelope!.Message;
    }

    private static T Check<T>(object message, string? hint)
    {
        Assert.True(message is T, $"Expected a {typeof(T)}, received <{message}> ({message.GetType()}). {hint}");
        return (T)message;
    }

    private void RefuseMessage(MessageEnvelope? envelope)
    {
        last = envelope ?? last;
        Assert.True(envelope is null, $"Expected no message, received {envelope}.");
    }
}
