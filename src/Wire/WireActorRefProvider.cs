using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Akka.Actor.Internal;
using Akka.Configuration;
using Akka.Dispatch.SysMsg;
using Akka.Event;
using Akka.Serialization;

namespace FtAkka.Wire;

/// <summary>
/// An actor reference provider that reaches other actor systems over an <see cref="IWire"/>: Tell, Ask, ActorSelection, Identify and
/// ResolveOne. No system message crosses hosts (no death watch, no remote deployment). Chosen by
/// <c>akka.actor.provider = "FtAkka.Wire.WireActorRefProvider, FtAkka.Wire"</c>; settings in <c>reference.hocon</c>.
/// </summary>
public class WireActorRefProvider : IActorRefProvider, IWireReceiver
{
    private const int LargestKeptBufferBytes = 1024 * 1024;

    [ThreadStatic]
    private static WireWriter? t_writer;

    private readonly LocalActorRefProvider _local;
    private readonly EventStream _eventStream;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.None);
    private FrozenDictionary<int, Serializer> _serializers = FrozenDictionary<int, Serializer>.Empty;
    private ActorSystemImpl? _system;
    private IWire? _wire;
    private int _maximumFrameBytes;
    private int _watchReported;
    private int _unserializableReported;
    private int _congestionReported;

    /// <summary>The constructor that Akka calls.</summary>
    public WireActorRefProvider(string systemName, Settings settings, EventStream eventStream)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.InjectTopLevelFallback(WireSettings.Reference);
        _local = new LocalActorRefProvider(systemName, settings, eventStream);
        _eventStream = eventStream;
        Log = Logging.GetLogger(eventStream, "wire");
        DefaultAddress = _local.DefaultAddress;
    }

    /// <summary>The handlers that may take messages on the receiving thread.</summary>
    public WireInterceptors Interceptors { get; } = new();

    /// <inheritdoc/>
    public IInternalActorRef RootGuardian => _local.RootGuardian;

    /// <inheritdoc/>
    public LocalActorRef Guardian => _local.Guardian;

    /// <inheritdoc/>
    public LocalActorRef SystemGuardian => _local.SystemGuardian;

    /// <inheritdoc/>
    public IActorRef DeadLetters => _local.DeadLetters;

    /// <inheritdoc/>
    public IActorRef IgnoreRef => _local.IgnoreRef;

    /// <inheritdoc/>
    public ActorPath RootPath => _local.RootPath;

    /// <inheritdoc/>
    public Settings Settings => _local.Settings;

    /// <inheritdoc/>
    public Deployer Deployer => _local.Deployer;

    /// <inheritdoc/>
    public IInternalActorRef TempContainer => _local.TempContainer;

    /// <inheritdoc/>
    /// <remarks>Complete when the guardians have stopped and then the wire has flushed and closed.</remarks>
    public Task TerminationTask => _stopped.Task;

    /// <inheritdoc/>
    public Address DefaultAddress { get; private set; }

    /// <inheritdoc/>
    public Information SerializationInformation => new(DefaultAddress, _system);

    internal ILoggingAdapter Log { get; }

    /// <summary>The local address as text, to put in front of a path from a frame.</summary>
    internal string LocalAddressText => RootPath.Address.ToString();

    /// <inheritdoc/>
    public virtual void Init(ActorSystemImpl system)
    {
        _system = system ?? throw new ArgumentNullException(nameof(system));
        _local.Init(system);
        var settings = WireSettings.Read(Settings.Config);
        _maximumFrameBytes = settings.MaximumFrameBytes;
        _serializers = CreateSerializers(system, settings);
        _wire = CreateWire(new WireContext(system.Name, settings, Log, _eventStream));
        DefaultAddress = _wire.Start(this);
        // Inline, so that a simulated system ends on its one thread; a wire that takes time returns a running task.
        _local.TerminationTask.ContinueWith(_ => StopWire(), CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Current);
        Log.Info("Listening on {0} as node {1}", DefaultAddress, settings.NodeName);
    }

    /// <inheritdoc/>
    public IWireSession Open(WirePeer peer) => new WireSession(this, peer);

    /// <inheritdoc/>
    public IActorRef RootGuardianAt(Address address) =>
        IsOwn(address) ? RootGuardian : new WireActorRef(this, new RootActorPath(address));

    /// <inheritdoc/>
    public ActorPath TempPath() => _local.TempPath();

    /// <inheritdoc/>
    public void RegisterTempActor(IInternalActorRef actorRef, ActorPath path) => _local.RegisterTempActor(actorRef, path);

    /// <inheritdoc/>
    public void UnregisterTempActor(ActorPath path) => _local.UnregisterTempActor(path);

    /// <inheritdoc/>
    public FutureActorRef<T> CreateFutureRef<T>(TaskCompletionSource<T> tcs) => _local.CreateFutureRef(tcs);

    /// <inheritdoc/>
    public IInternalActorRef ActorOf(ActorSystemImpl system, Props props, IInternalActorRef supervisor, ActorPath path,
        bool systemService, Deploy deploy, bool lookupDeploy, bool async) =>
        _local.ActorOf(system, props, supervisor, path, systemService, deploy, lookupDeploy, async);

    /// <inheritdoc/>
    public IActorRef ResolveActorRef(string path) =>
        ActorPath.TryParse(path, out var parsed) ? ResolveActorRef(parsed) : DeadLetters;

    /// <inheritdoc/>
    public IActorRef ResolveActorRef(ActorPath actorPath)
    {
        ArgumentNullException.ThrowIfNull(actorPath);
        return IsOwn(actorPath.Address) ? ResolveLocal(actorPath) : new WireActorRef(this, actorPath);
    }

    /// <inheritdoc/>
    public Address? GetExternalAddressFor(Address address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return address == RootPath.Address ? address : address.Protocol == DefaultAddress.Protocol ? DefaultAddress : null;
    }

    /// <summary>The local actor at a path, honouring its UID: a successor under the same name is not taken for it.</summary>
    internal IActorRef ResolveLocal(ActorPath path)
    {
        var elements = path.Elements.ToArray();
        if (elements.Length == 0 || (elements.Length == 1 && elements[0].Length == 0))
        {
            return RootGuardian;
        }

        if (path.Uid != ActorCell.UndefinedUid)
        {
            elements[^1] = $"{elements[^1]}#{path.Uid}";
        }

        var child = RootGuardian.GetChild(elements);
        return child.IsNobody() ? new EmptyLocalActorRef(this, RootPath / path.Elements, _eventStream) : child;
    }

    internal bool TryGetSerializer(int id, [NotNullWhen(true)] out Serializer? serializer) =>
        _serializers.TryGetValue(id, out serializer);

    internal void Send(WireActorRef recipient, object message, IActorRef sender)
    {
        var writer = RentWriter();
        try
        {
            if (!TryEncode(writer, recipient, message, sender))
            {
                _eventStream.Publish(new DeadLetter(message, sender ?? DeadLetters, recipient));
                return;
            }

            var result = _wire?.Send(recipient.Path.Address, writer.Written) ?? WireSendResult.Closed;
            if (result != WireSendResult.Accepted)
            {
                Undelivered(result, recipient, message, sender);
            }
            else if (_congestionReported != 0)
            {
                _congestionReported = 0;
            }
        }
        finally
        {
            writer.Trim(LargestKeptBufferBytes);
            t_writer = writer;
        }
    }

    internal WireSendResult SendEncoded(
        WireActorRef recipient, int serializerId, string manifest, ReadOnlySpan<byte> body, IActorRef sender)
    {
        var writer = RentWriter();
        try
        {
            WireEnvelope.WriteRecipient(writer, WireEnvelope.KindMessage, recipient);
            if (!WireEnvelope.TryWriteRef(writer, sender))
            {
                return WireSendResult.TooLarge;
            }

            writer.Byte(WireEnvelope.BodySerialized);
            writer.Int32(serializerId);
            if (!writer.TryText(manifest, WireEnvelope.MaxManifestBytes))
            {
                return WireSendResult.TooLarge;
            }

            writer.Bytes(body);
            return _wire?.Send(recipient.Path.Address, writer.Written) ?? WireSendResult.Closed;
        }
        finally
        {
            writer.Trim(LargestKeptBufferBytes);
            t_writer = writer;
        }
    }

    internal void SystemMessageDropped(WireActorRef recipient, ISystemMessage message)
    {
        if (message is Watch && Interlocked.Exchange(ref _watchReported, 1) == 0)
        {
            Log.Warning("Death watch does not cross hosts: the watch of {0} will never be answered. Reported once.", recipient.Path);
        }
    }

    /// <summary>The thread's writer; a serializer that sends messages itself finds none and takes a fresh one.</summary>
    private static WireWriter RentWriter()
    {
        var writer = t_writer ?? new WireWriter();
        t_writer = null;
        return writer;
    }

    private static FrozenDictionary<int, Serializer> CreateSerializers(ActorSystemImpl system, WireSettings settings)
    {
        var byId = new Dictionary<int, Serializer>();
        foreach (var name in settings.AcceptedSerializers)
        {
            // Instances of our own, by the configured name: Akka's table would also answer to ids that were not accepted here.
            var typeName = system.Settings.Config.GetString($"akka.actor.serializers.{name}", null);
            if (typeName is null)
            {
                system.Log.Warning("akka.remote.wire.accepted-serializers names [{0}], which is not in akka.actor.serializers.", name);
                continue;
            }

            var type = Type.GetType(typeName, throwOnError: false)
                ?? throw new ConfigurationException($"akka.actor.serializers.{name}: type '{typeName}' cannot be loaded.");
            if (Activator.CreateInstance(type, system) is not Serializer serializer
                || (serializer is not SerializerWithStringManifest && serializer.IncludeManifest))
            {
                throw new ConfigurationException(
                    $"akka.actor.serializers.{name}: '{typeName}' lets the sender name a type; the wire accepts none such.");
            }

            byId[serializer.Identifier] = serializer;
        }

        return byId.ToFrozenDictionary();
    }

    private IWire CreateWire(WireContext context)
    {
        if (Settings.Setup.Get<WireSetup>() is { HasValue: true } setup)
        {
            return setup.Value.Create(context);
        }

        if (context.Settings.Factory.Length == 0)
        {
            return new Tcp.TcpWire(context);
        }

        var type = Type.GetType(context.Settings.Factory, throwOnError: false);
        return type is not null && Activator.CreateInstance(type) is IWireFactory factory
            ? factory.Create(context)
            : throw new ConfigurationException(
                $"akka.remote.wire.factory: '{context.Settings.Factory}' is not a loadable {nameof(IWireFactory)}.");
    }

    private void StopWire()
    {
        var stopping = _wire?.StopAsync() ?? Task.CompletedTask;
        if (stopping.IsCompleted)
        {
            _stopped.TrySetResult();
        }
        else
        {
            stopping.ContinueWith(_ => _stopped.TrySetResult(), CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private bool IsOwn(Address address) => address == RootPath.Address || address == DefaultAddress;

    private bool TryEncode(WireWriter writer, WireActorRef recipient, object message, IActorRef? sender)
    {
        var selection = message as ActorSelectionMessage;
        var payload = selection?.Message ?? message;
        WireEnvelope.WriteRecipient(writer, selection is null ? WireEnvelope.KindMessage : WireEnvelope.KindSelection, recipient);
        if (!WireEnvelope.TryWriteRef(writer, sender)
            || (selection is not null && !WireEnvelope.TryWriteElements(writer, selection.Elements, selection.WildCardFanOut)))
        {
            return NotEncodable(payload, recipient, "the sender's path or the selection is too long");
        }

        switch (payload)
        {
            case Identify identify:
                writer.Byte(WireEnvelope.BodyIdentify);
                return WireEnvelope.TryWriteIdentifyId(writer, identify.MessageId)
                    || NotEncodable(payload, recipient, "the correlation value is not null, a short text, an int or a long");
            case ActorIdentity identity:
                writer.Byte(WireEnvelope.BodyActorIdentity);
                return WireEnvelope.TryWriteIdentifyId(writer, identity.MessageId) && TryWriteSubject(writer, identity.Subject);
            default:
                return TryEncodeSerialized(writer, payload, recipient);
        }
    }

    private static bool TryWriteSubject(WireWriter writer, IActorRef? subject)
    {
        writer.Byte(subject is null ? (byte)0 : (byte)1);
        return subject is null || WireEnvelope.TryWriteRef(writer, subject);
    }

    private bool TryEncodeSerialized(WireWriter writer, object payload, WireActorRef recipient)
    {
        var serializer = _system!.Serialization.FindSerializerFor(payload);
        if (!_serializers.ContainsKey(serializer.Identifier))
        {
            return NotEncodable(payload, recipient, $"its serializer ({serializer.GetType().Name}) is not accepted on the wire");
        }

        byte[] body;
        string manifest;
        try
        {
            body = Serialization.WithTransport(_system, (serializer, payload), static job => job.serializer.ToBinary(job.payload));
            manifest = serializer is SerializerWithStringManifest byManifest ? byManifest.Manifest(payload) : string.Empty;
        }
        // Tell never throws; what a serializer throws is its own affair and says that it cannot write this message.
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            return NotEncodable(payload, recipient, $"its serializer failed: {failure.Message}");
        }

        writer.Byte(WireEnvelope.BodySerialized);
        writer.Int32(serializer.Identifier);
        if (!writer.TryText(manifest, WireEnvelope.MaxManifestBytes))
        {
            return NotEncodable(payload, recipient, "its manifest is too long");
        }

        writer.Bytes(body);
        return true;
    }

    private bool NotEncodable(object payload, WireActorRef recipient, string reason)
    {
        // A programmer's mistake: loud once, quiet afterwards, since such a message may be sent a thousand times a second.
        if (Interlocked.Exchange(ref _unserializableReported, 1) == 0)
        {
            Log.Error("A {0} to {1} cannot be sent: {2}. Reported once.", payload.GetType(), recipient.Path, reason);
        }

        return false;
    }

    private void Undelivered(WireSendResult result, WireActorRef recipient, object message, IActorRef? sender)
    {
        if (result == WireSendResult.TooLarge)
        {
            Log.Error("A {0} to {1} is longer than maximum-frame-size ({2} bytes) and was not sent.",
                message.GetType(), recipient.Path, _maximumFrameBytes);
        }
        else if (result == WireSendResult.Congested && Interlocked.Exchange(ref _congestionReported, 1) == 0)
        {
            Log.Warning("The send queue of {0} is full; messages to it become dead letters.", recipient.Path.Address);
        }

        _eventStream.Publish(new DeadLetter(message, sender ?? DeadLetters, recipient));
    }
}
