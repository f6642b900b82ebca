using System.Collections.Immutable;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>Console, network card and disk of a live machine: they act in order, slowly now and then, and only while their replica's fence allows it.</summary>
internal sealed class ProtocolDevices(ProtocolHost host, ProtocolCluster cluster, SimulatedRandom random)
{
    private const int DiskRequestsMost = 4096;
    private const int SlowOneIn = 300;

    /// <summary>What the device acts on next: it conflicts with nothing under way.</summary>
    private readonly Queue<(ulong Number, MachineEffect Effect)> _ready = new();
    private readonly Dictionary<ulong, ulong> _numbers = [];
    private readonly RequestSerializer _serializer = new(DiskRequestsMost);
    private readonly ReplicaCore _replica = host.Replica!;
    private bool _busy;

    private bool IsForgotten => !ReferenceEquals(_replica, host.Replica);

    /// <summary>Takes outputs, and disk requests that are issued again under number 0.</summary>
    public void Take(IEnumerable<(ulong Number, MachineEffect Effect)> outputs)
    {
        foreach (var output in outputs)
        {
            if (output.Effect is DiskRequested { Request: var request })
            {
                _numbers[request.Id] = output.Number;
                if (_serializer.Submit(request) == RequestAdmission.Start || cluster.Mutation == ProtocolMutation.UnserializedDisk)
                {
                    _ready.Enqueue(output);
                }
            }
            else
            {
                _ready.Enqueue(output);
            }
        }
        if (!_busy)
        {
            NextAction();
        }
    }

    private void NextAction()
    {
        _busy = true;
        long delay = 100 + random.Below(4_000);
        // Rarely a device is slow: this is where a stale primary would do harm.
        if (cluster.Faulty && random.Below(SlowOneIn) == 0)
        {
            delay = 100_000 + random.Below(7_900_000);
        }
        cluster.Schedule(host, delay, () =>
        {
            if (IsForgotten)
            {
                return;
            }
            if (_ready.Count > 0 && (host.Now < _replica.Fence || cluster.Mutation == ProtocolMutation.IgnoredFence))
            {
                var (number, effect) = _ready.Dequeue();
                Act(number, effect);
            }
            if (_ready.Count > 0)
            {
                NextAction();
            }
            else
            {
                _busy = false;
            }
        });
    }

    private void Act(ulong number, MachineEffect effect)
    {
        cluster.Note(host.Name, TimelineKind.Outside, effect);
        if (effect is DiskRequested { Request: { } request })
        {
            Access(number, effect, request);
            return;
        }
        cluster.World.Perform(host.Identity, _replica.Generation, number, effect, host.Machine!);
        if (effect is ConsoleOutput text)
        {
            cluster.Schedule(host, random.Below(2_000) + 10, () =>
            {
                if (!IsForgotten)
                {
                    host.Step(new ReplicaInput.ConsoleTaken(text.Console, text.StreamOffset + (ulong)text.Bytes.Length));
                }
            });
        }
    }

    private void Access(ulong number, MachineEffect effect, DiskRequest request)
    {
        bool fails = cluster.Faults.DiskFails(host, request.Kind);
        if (cluster.Mutation == ProtocolMutation.ForgottenBounceBuffer && request.Kind == DiskRequestKind.Write && host.Machine!.Icount != effect.Icount)
        {
            effect = new DiskRequested(effect.Icount, 0, request with { Data = [.. BitConverter.GetBytes(host.Machine.Icount)] });
        }
        ulong data = cluster.World.Perform(host.Identity, _replica.Generation, number, effect, host.Machine!, fails);
        ImmutableArray<byte> bytes = request.Kind == DiskRequestKind.Read && !fails ? [.. BitConverter.GetBytes(data)] : [];
        cluster.Schedule(host, random.Below(60_000) + 1_000 + cluster.Faults.DiskDelay(host), () =>
        {
            if (IsForgotten)
            {
                return;
            }
            host.DiskEnded(new DiskCompletion(request.Id, fails ? DiskStatus.IoError : DiskStatus.Ok, bytes));
            foreach (DiskRequest next in _serializer.Complete(request.Id))
            {
                if (cluster.Mutation != ProtocolMutation.UnserializedDisk)
                {
                    _ready.Enqueue((_numbers[next.Id], new DiskRequested(0, 0, next)));
                }
            }
            if (!_busy)
            {
                NextAction();
            }
        });
    }
}
