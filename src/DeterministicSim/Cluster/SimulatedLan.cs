using System.Collections.Immutable;
using System.Globalization;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeviceActors.Nics;
using FtAkka.TinyGuests;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// The network at which the guest's card is, and a client that sends numbered requests and repeats each until it is answered. A switch
/// between them has learnt from the last frame where the guest's address is.
/// </summary>
internal sealed class SimulatedLan(ClusterWorld world, byte[] guestMac)
{
    private const int PayloadMost = 200;

    private static readonly byte[] ClientMac = [0x02, 0xc1, 0x1e, 0, 0, 1];
    private static readonly TimeSpan DelayLeast = TimeSpan.FromMicroseconds(100);
    private static readonly TimeSpan DelayMost = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan RepeatAfter = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ThinkMost = TimeSpan.FromMilliseconds(300);

    private readonly SimulatedRandom _random = SimulatedRandom.Stream(world.Simulation.Seed, "client");
    private EchoReference _reference = new(guestMac);
    private readonly List<byte[]> _answers = [];
    private readonly List<ulong> _states = [new EchoReference(guestMac).State];
    private readonly List<SimulatedLink> _open = [];
    private SimulatedLink? _learnt;
    private byte[]? _request;
    private byte[]? _expected;
    private ulong _sequence;
    private int _epoch;

    /// <summary>Requests that were answered.</summary>
    public ulong Answered { get; private set; }

    /// <summary>Answers that came again.</summary>
    public ulong Repeated { get; private set; }

    public IFrameLink Open(SimulatedHost host, long incarnation)
    {
        var link = new SimulatedLink(world, this, host, incarnation);
        _open.Add(link);
        return link;
    }

    public void Close(SimulatedLink link)
    {
        _open.Remove(link);
        if (_learnt == link)
        {
            _learnt = null;
        }
    }

    /// <summary>A host is gone, and its ends of the network with it.</summary>
    public void Crashed(SimulatedHost host)
    {
        foreach (SimulatedLink link in _open.Where(link => link.Host == host).ToArray())
        {
            Close(link);
        }
    }

    /// <summary>The state from which the guest goes on behind so many answers; null if there were not so many requests.</summary>
    public ulong? StateBehind(uint answers) => answers < _states.Count ? _states[(int)answers] : null;

    /// <summary>The client begins.</summary>
    public void Start()
    {
        int epoch = _epoch;
        world.Simulation.Schedule(_random.Between(TimeSpan.Zero, ThinkMost), () => Ask(epoch));
    }

    /// <summary>The guest was started anew and has forgotten everything; so does the client.</summary>
    public void Reset()
    {
        (_reference, _request, _expected, _sequence) = (new EchoReference(guestMac), null, null, 0);
        _states.RemoveRange(1, _states.Count - 1);
        _epoch++;
        Start();
    }

    private void Ask(int epoch)
    {
        if (epoch != _epoch)
        {
            return;
        }
        byte[] payload = new byte[_random.Below(PayloadMost + 1)];
        for (int i = 0; i < payload.Length; i++)
        {
            payload[i] = (byte)_random.Below(256);
        }
        _request = EchoFrame.Request(guestMac, ClientMac, ++_sequence, payload);
        _expected = _reference.Answer(_request);
        _states.Add(_reference.State);
        Send(_sequence, epoch);
    }

    private void Send(ulong sequence, int epoch)
    {
        if (_request is not { } frame || sequence != _sequence || epoch != _epoch)
        {
            return;
        }
        if (world.KeepsTimeline)
        {
            world.Tell("", TimelineKind.Outside, string.Create(CultureInfo.InvariantCulture, $"client asks {sequence}"), _learnt?.Host.Name);
        }
        foreach (SimulatedLink link in _learnt is { } port ? [port] : _open.ToArray())
        {
            world.Simulation.Schedule(world.Random.Between(DelayLeast, DelayMost), () => link.Arrive([.. frame]));
        }
        world.Simulation.Schedule(RepeatAfter, () => Send(sequence, epoch));
    }

    /// <summary>A frame leaves a host.</summary>
    public void Sent(SimulatedLink from, ImmutableArray<byte> frame)
    {
        _learnt = from;
        int epoch = _epoch;
        world.Simulation.Schedule(world.Random.Between(DelayLeast, DelayMost), () =>
        {
            if (epoch == _epoch)
            {
                Hear(frame);
            }
        });
    }

    private void Hear(ImmutableArray<byte> frame)
    {
        ReadOnlySpan<byte> bytes = frame.AsSpan();
        if (bytes.Length < 14 || ((bytes[12] << 8) | bytes[13]) != EchoFrame.EtherType)
        {
            return;   // an announcement of the address
        }
        if (world.Demanded is { } demanded && DemandingReference.HashOf(bytes) is { } hash)
        {
            demanded.Frame(hash);
            return;
        }
        if (_expected is { } expected && bytes.SequenceEqual(expected))
        {
            _answers.Add(expected);
            (_request, _expected) = (null, null);
            Answered++;
            if (world.KeepsTimeline)
            {
                world.Tell("", TimelineKind.Outside, string.Create(CultureInfo.InvariantCulture, $"client has answer {_sequence}"));
            }
            Start();
            return;
        }
        for (int i = _answers.Count - 1; i >= 0; i--)
        {
            if (bytes.SequenceEqual(_answers[i]))
            {
                Repeated++;
                return;
            }
        }
        world.Fail("echo", string.Create(CultureInfo.InvariantCulture,
            $"the client got a frame of {bytes.Length} bytes that answers none of its {_sequence} requests as one failure-free guest would: {Convert.ToHexString(bytes[..Math.Min(60, bytes.Length)])}"));
    }
}

/// <summary>A live replica's end of the network.</summary>
internal sealed class SimulatedLink(ClusterWorld world, SimulatedLan lan, SimulatedHost host, long incarnation) : IFrameLink
{
    private const int QueuedMax = 64;

    public SimulatedHost Host => host;

    private readonly Queue<ImmutableArray<byte>> _arrived = new();
    private TaskCompletionSource<LinkInput>? _waiting;
    private bool _said;

    /// <inheritdoc/>
    public Task<LinkInput> ReceiveAsync()
    {
        if (!_said)
        {
            _said = true;
            return Task.FromResult(new LinkInput([], Connected: true));
        }
        if (_arrived.Count > 0)
        {
            ImmutableArray<ImmutableArray<byte>> frames = [.. _arrived];
            _arrived.Clear();
            return Task.FromResult(new LinkInput(frames, Connected: true));
        }
        _waiting = new TaskCompletionSource<LinkInput>();
        return _waiting.Task;
    }

    /// <inheritdoc/>
    public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
    {
        if (ClusterWorld.IsAlive(host, incarnation))
        {
            world.Checks.NetAct(host, incarnation, frames);
            foreach (ImmutableArray<byte> frame in frames)
            {
                lan.Sent(this, frame);
            }
        }
        return Task.FromResult(frames.Length);
    }

    /// <summary>A frame reaches the host.</summary>
    public void Arrive(ImmutableArray<byte> frame)
    {
        if (!ClusterWorld.IsAlive(host, incarnation) || _arrived.Count >= world.Faults.LimitFrames(QueuedMax))
        {
            return;
        }
        _arrived.Enqueue(frame);
        if (_waiting is not null)
        {
            world.Simulation.Schedule(host.System!, TimeSpan.Zero, HandOver);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lan.Close(this);
        _waiting?.TrySetCanceled();
    }

    private void HandOver()
    {
        if (_waiting is not { } waiting || _arrived.Count == 0)
        {
            return;
        }
        _waiting = null;
        ImmutableArray<ImmutableArray<byte>> frames = [.. _arrived];
        _arrived.Clear();
        waiting.TrySetResult(new LinkInput(frames, Connected: true));
    }
}
