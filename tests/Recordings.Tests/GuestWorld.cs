using System.Collections.Immutable;
using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Replay;

namespace FtAkka.Recordings.Tests;

/// <summary>
/// What a guest lives in, without actors: a disk that answers late and out of order, a network peer, somebody at the console, and a clock. All of
/// it follows from a seed, so that a failing session can be repeated.
/// </summary>
internal sealed class GuestWorld(IMachineRunner runner, int seed)
{
    private readonly Random random = new(seed);
    private readonly StringBuilder console = new();
    private readonly List<(int Round, InputEvent Input)> due = [];
    private int round;

    /// <summary>Content of the first disk.</summary>
    public byte[] Disk { get; init; } = [];

    /// <summary>Answers a frame of the guest; null: nobody does.</summary>
    public Func<ImmutableArray<byte>, byte[]?> Peer { get; init; } = _ => null;

    /// <summary>What is typed once a text has been printed, in order.</summary>
    public Queue<(string Printed, string Typed)> Script { get; init; } = new();

    /// <summary>Instructions of a quantum, at most.</summary>
    public int QuantumMax { get; init; } = 200_000;

    /// <summary>The session ends here at the latest.</summary>
    public ulong IcountMax { get; init; } = 400_000_000;

    /// <summary>Done to the machine once, at the first stop from this icount on, and not recorded.</summary>
    public (ulong Icount, Action<GuestMachine> Change)? Tampering { get; set; }

    /// <summary>What the guest has printed.</summary>
    public string Console => console.ToString();

    /// <summary>Delivers a frame soon.</summary>
    public void Send(byte[] frame) => due.Add((round + random.Next(1, 5), new NetReceive(0, [.. frame])));

    /// <summary>Lets the guest live until it ends, waits for what nobody will send, or has had its time.</summary>
    public MachineExitReason Run()
    {
        while (runner.Machine.Icount < IcountMax)
        {
            round++;
            DeliverDue();
            if (Tampering is { } tampering && runner.Machine.Icount >= tampering.Icount)
            {
                Tampering = null;
                tampering.Change(runner.Machine);
            }
            MachineExit exit = runner.Run((ulong)random.Next(1, QuantumMax));
            foreach (MachineEffect effect in exit.Effects)
            {
                Perform(effect);
            }
            Type();
            switch (exit.Reason)
            {
                case MachineExitReason.PowerOff or MachineExitReason.Reset or MachineExitReason.TripleFault or MachineExitReason.Panic or MachineExitReason.Held:
                    return exit.Reason;
                case MachineExitReason.Idle when due.Count == 0 && exit.NextTimerTsc is null:
                    return exit.Reason;
                case MachineExitReason.Idle when due.Count == 0:
                    runner.Inject(new ClockAdvance(exit.NextTimerTsc!.Value + (ulong)random.Next(1000)));
                    break;
                default:
                    runner.Inject(new ClockAdvance(runner.Machine.Tsc + (ulong)random.Next(1, QuantumMax)));
                    break;
            }
        }
        return MachineExitReason.BudgetSpent;
    }

    private void DeliverDue()
    {
        for (int i = 0; i < due.Count;)
        {
            if (due[i].Round > round)
            {
                i++;
                continue;
            }
            runner.Inject(due[i].Input);
            due.RemoveAt(i);
        }
    }

    private void Type()
    {
        if (Script.TryPeek(out (string Printed, string Typed) line) && Console.Contains(line.Printed, StringComparison.Ordinal))
        {
            Script.Dequeue();
            due.Add((round + 1, new ConsoleInput(ConsoleKind.Serial, [.. Encoding.ASCII.GetBytes(line.Typed)])));
        }
    }

    private void Perform(MachineEffect effect)
    {
        switch (effect)
        {
            case ConsoleOutput output:
                console.Append(Encoding.ASCII.GetString(output.Bytes.AsSpan()));
                break;
            case DiskRequested request:
                due.Add((round + random.Next(1, 6), new DiskCompleted(request.Disk, Serve(request.Request))));
                break;
            case NetTransmit sent:
                foreach (byte[] answer in sent.Frames.Select(Peer).OfType<byte[]>())
                {
                    Send(answer);
                }
                break;
            default:
                break;
        }
    }

    private DiskCompletion Serve(DiskRequest request)
    {
        Span<byte> range = Disk.AsSpan((int)request.Sector * 512, (int)request.LengthBytes);
        if (request.Kind == DiskRequestKind.Read)
        {
            return new DiskCompletion(request.Id, DiskStatus.Ok, [.. range]);
        }
        if (request.Kind == DiskRequestKind.Write)
        {
            request.Data.AsSpan().CopyTo(range);
        }
        return new DiskCompletion(request.Id, DiskStatus.Ok, []);
    }
}
