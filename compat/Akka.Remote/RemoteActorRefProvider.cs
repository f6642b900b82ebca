using Akka.Actor;
using Akka.Event;
using FtAkka.Wire;

namespace Akka.Remote;

/// <summary>
/// What <c>akka.actor.provider = remote</c> loads by name. All of the work is <see cref="WireActorRefProvider"/>'s, over TCP and with
/// the settings under <c>akka.remote.dot-netty.tcp</c>.
/// </summary>
public sealed class RemoteActorRefProvider(string systemName, Settings settings, EventStream eventStream)
    : WireActorRefProvider(systemName, settings, eventStream);
