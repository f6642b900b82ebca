using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Akka.Dispatch.SysMsg;
using Akka.Util;

namespace Akka.TestKit;

/// <summary>
/// A further test actor, usable wherever an <see cref="IActorRef"/> is wanted. Messages that a test sends through it carry it as
/// their sender; it is never the implicit sender.
/// </summary>
[SuppressMessage("Design", "CA1036", Justification = "Comparable because IActorRef is; actor references are compared by Equals, never by operators.")]
public class TestProbe : TestKitBase, INoImplicitSender, IInternalActorRef
{
    /// <summary>A probe in <paramref name="system"/>.</summary>
    public TestProbe(ActorSystem system, string? testProbeName = null)
        : base(system, testProbeName)
    {
    }

    /// <summary>The probe's actor.</summary>
    public IActorRef Ref => TestActor;

    /// <summary>The sender of the last message that was looked at.</summary>
    public IActorRef Sender => LastSender;

    /// <inheritdoc/>
    public ActorPath Path => TestActor.Path;

    bool IActorRefScope.IsLocal => Inner.IsLocal;

    IInternalActorRef IInternalActorRef.Parent => Inner.Parent;

    IActorRefProvider IInternalActorRef.Provider => Inner.Provider;

#pragma warning disable CS0618 // The interface still has this member, so whoever implements it must name it.
    bool IInternalActorRef.IsTerminated => Inner.IsTerminated;

    void IInternalActorRef.SendSystemMessage(ISystemMessage message, IActorRef sender) => Inner.SendSystemMessage(message, sender);
#pragma warning restore CS0618

    private IInternalActorRef Inner => (IInternalActorRef)TestActor;

    /// <summary>Sends <paramref name="message"/> with the probe as its sender.</summary>
    public void Send(IActorRef actor, object message) => actor.Tell(message, TestActor);

    /// <summary>Passes the last message on, with its sender.</summary>
    public void Forward(IActorRef actor) => actor.Tell(LastMessage, LastSender);

    /// <summary>Answers the last message.</summary>
    public void Reply(object message) => LastSender.Tell(message, TestActor);

    /// <inheritdoc/>
    public void Tell(object message, IActorRef sender) => TestActor.Tell(message, sender);

    /// <inheritdoc/>
    public ISurrogate ToSurrogate(ActorSystem system) => TestActor.ToSurrogate(system);

    /// <inheritdoc/>
    public int CompareTo(IActorRef? other) => TestActor.CompareTo(other);

    /// <inheritdoc/>
    public int CompareTo(object? obj) => TestActor.CompareTo(obj);

    /// <inheritdoc/>
    public bool Equals(IActorRef? other) => TestActor.Equals(other);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is IActorRef other && TestActor.Equals(other is TestProbe probe ? probe.TestActor : other);

    /// <inheritdoc/>
    public override int GetHashCode() => TestActor.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => $"TestProbe({TestActor})";

    IActorRef IInternalActorRef.GetChild(IReadOnlyList<string> name) => Inner.GetChild(name);

    void IInternalActorRef.Resume(Exception causedByFailure) => Inner.Resume(causedByFailure);

    void IInternalActorRef.Start() => Inner.Start();

    void IInternalActorRef.Stop() => Inner.Stop();

    void IInternalActorRef.Restart(Exception cause) => Inner.Restart(cause);

    void IInternalActorRef.Suspend() => Inner.Suspend();

    void IInternalActorRef.SendSystemMessage(ISystemMessage message) => Inner.SendSystemMessage(message);
}
