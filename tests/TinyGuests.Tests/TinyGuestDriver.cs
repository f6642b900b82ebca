using System.Collections.Immutable;
using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.TinyGuests.Tests;

/// <summary>
/// Drives a machine without actors: disk requests are served from an array, sent frames go to a handler, and time passes when the
/// guest waits for it. Everything is deterministic.
/// </summary>
internal sealed class TinyGuestDriver(GuestMachine machine, byte[] disk, Func<ImmutableArray<byte>, byte[]?> peer)
{
    private const ulong InstructionsMax = 400_000_000;

    private readonly StringBuilder console = new();

    /// <summary>What the guest has printed so far.</summary>
    public string Console => console.ToString();

    /// <summary>Runs in slices until the guest ends or waits for something that nobody will send.</summary>
    public MachineExitReason Run(ulong sliceInstructions)
    {
        while (machine.Icount < InstructionsMax)
        {
            MachineExit exit = machine.Run(sliceInstructions);
            List<InputEvent> answers = [.. exit.Effects.SelectMany(Perform)];
            if (exit.Reason.IsFinal() || exit.Reason == MachineExitReason.Held)
            {
                return exit.Reason;
            }

            if (exit.Reason == MachineExitReason.Idle && answers.Count == 0)
            {
                if (exit.NextTimerTsc is not { } timer)
                {
                    return exit.Reason;
                }

                answers.Add(new ClockAdvance(timer));
            }

            answers.ForEach(answer => machine.Inject(answer));
        }

        return MachineExitReason.BudgetSpent;
    }

    private IEnumerable<InputEvent> Perform(MachineEffect effect)
    {
        switch (effect)
        {
            case ConsoleOutput output:
                console.Append(Encoding.ASCII.GetString(output.Bytes.AsSpan()));
                return [];
            case DiskRequested request:
                return [new DiskCompleted(request.Disk, Serve(request.Request, disk))];
            case NetTransmit sent:
                return sent.Frames.Select(peer).OfType<byte[]>().Select(frame => new NetReceive(sent.Nic, [.. frame])).ToList();
            default:
                return [];
        }
    }

    /// <summary>What a disk of this content answers.</summary>
    public static DiskCompletion Serve(DiskRequest request, byte[] disk)
    {
        Span<byte> range = disk.AsSpan((int)request.Sector * 512, (int)request.LengthBytes);
        if (request.Kind == DiskRequestKind.Read)
        {
            return new DiskCompletion(request.Id, DiskStatus.Ok, [.. range]);
        }

        if (request.Kind == DiskRequestKind.WriteZeroes)
        {
            range.Clear();
        }

        request.Data.AsSpan().CopyTo(range);
        return new DiskCompletion(request.Id, DiskStatus.Ok, []);
    }
}
