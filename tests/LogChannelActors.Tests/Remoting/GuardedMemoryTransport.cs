using System.Collections.Concurrent;
using System.Collections.Immutable;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote.Transport;
using FtAkka.LogChannelActors.Remoting;
using Google.Protobuf;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>What <see cref="GuardedMemoryTransport"/>s of one test share: who listens, what was sent and what was refused.</summary>
internal sealed class MemoryNetwork
{
    private static readonly ConcurrentDictionary<string, MemoryNetwork> All = new();

    public ConcurrentDictionary<Address, GuardedMemoryTransport> Listening { get; } = new();

    public ConcurrentQueue<byte[]> Sent { get; } = new();

    public BlockingCollection<string> Refusals { get; } = [];

    public static MemoryNetwork Of(string name) => All.GetOrAdd(name, _ => new MemoryNetwork());
}

/// <summary>A transport in memory, for official remoting, which asks a <see cref="PduGuard"/> before it hands a unit over, as real ones do.</summary>
internal sealed class GuardedMemoryTransport : Transport
{
    private readonly Address local;
    private readonly PeerIdentity identity;
    private readonly GuardRules rules;
    private readonly TaskCompletionSource<IAssociationEventListener> listener = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public GuardedMemoryTransport(ActorSystem system, Config config)
    {
        System = system;
        Config = config;
        SchemeIdentifier = "tcp";
        MaximumPayloadBytes = 1 << 20;
        Network = MemoryNetwork.Of(config.GetString("network"));
        local = new Address("tcp", system.Name, config.GetString("hostname"), config.GetInt("port"));
        identity = new PeerIdentity(config.GetString("node"), [.. config.GetStringList("hosts")]);
        rules = GuardRules.Read(config);
    }

    private MemoryNetwork Network { get; }

    public override Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        Network.Listening.TryAdd(local, this);
        return Task.FromResult((local, listener));
    }

    public override bool IsResponsibleFor(Address remote) => true;

    public override async Task<AssociationHandle> Associate(Address remoteAddress)
    {
        if (!Network.Listening.TryGetValue(remoteAddress, out var far))
        {
            throw new InvalidAssociationException($"nobody at {remoteAddress}");
        }

        End near = new(this, remoteAddress, new PduGuard(rules, far.identity, local, remoteAddress));
        End other = new(far, local, new PduGuard(far.rules, identity, far.local, null));
        near.Other = other;
        other.Other = near;
        (await far.listener.Task).Notify(new InboundAssociation(other));
        return near;
    }

    public override Task<bool> Shutdown()
    {
        Network.Listening.TryRemove(new KeyValuePair<Address, GuardedMemoryTransport>(local, this));
        return Task.FromResult(true);
    }

    private sealed class End : AssociationHandle
    {
        private readonly Lock gate = new();
        private readonly GuardedMemoryTransport owner;
        private readonly PduGuard guard;
        private readonly Queue<IHandleEvent> waiting = new();
        private IHandleEventListener? reader;
        private bool closed;
        private Address? registered;

        public End(GuardedMemoryTransport owner, Address remote, PduGuard guard)
            : base(owner.local, remote)
        {
            this.owner = owner;
            this.guard = guard;
            ReadHandlerSource = new TaskCompletionSource<IHandleEventListener>(TaskCreationOptions.RunContinuationsAsynchronously);
            _ = ReadHandlerSource.Task.ContinueWith(task => Read(task.Result), TaskScheduler.Default);
        }

        public End Other { get; set; } = null!;

        public override bool Write(ByteString payload)
        {
            owner.Network.Sent.Enqueue(payload.ToByteArray());
            return Other.Receive(payload);
        }

        [Obsolete("Akka's own handles override it still.")]
        public override void Disassociate()
        {
            Close();
            Other.Close();
        }

        private bool Receive(ByteString payload)
        {
            string? why;
            lock (gate)
            {
                if (closed)
                {
                    return false;
                }

                why = guard.Refuse(payload.Span);
                if (why is null)
                {
                    if (registered is null && guard.Origin is { } origin)
                    {
                        registered = origin;
                        RemotePeers.For(owner.System).Register(origin, Other.owner.identity.Node);
                    }

                    Hand(new InboundPayload(payload));
                    return true;
                }
            }

            owner.Network.Refusals.Add(why);
            Close();
            Other.Close();
            return true;
        }

        private void Hand(IHandleEvent what)
        {
            if (reader is null)
            {
                waiting.Enqueue(what);
            }
            else
            {
                reader.Notify(what);
            }
        }

        private void Read(IHandleEventListener listener)
        {
            lock (gate)
            {
                reader = listener;
                while (waiting.TryDequeue(out var what))
                {
                    reader.Notify(what);
                }
            }
        }

        private void Close()
        {
            lock (gate)
            {
                if (!closed)
                {
                    closed = true;
                    Hand(new Disassociated(DisassociateInfo.Unknown));
                }
            }
        }
    }
}
