using System.Collections.Immutable;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.Machine.Events;

/// <summary>Something that leaves the machine, to be performed in order by whoever drives it.</summary>
/// <param name="Icount">Instructions retired when it happened; the instruction that caused it is the next.</param>
public abstract record MachineEffect(ulong Icount)
{
    /// <summary>What whoever holds the effect holds in memory, in bytes and about: its data, and something for each object.</summary>
    public long CountBytes()
    {
        const int perEffect = 64, perFrame = 32;
        long bytes = perEffect;
        switch (this)
        {
            case ConsoleOutput console:
                bytes += console.Bytes.Length;
                break;
            case DiskRequested disk:
                bytes += disk.Request.Data.Length;
                break;
            case NetTransmit net:
                foreach (ImmutableArray<byte> frame in net.Frames)
                {
                    bytes += perFrame + frame.Length;
                }
                break;
            default:
                break;
        }
        return bytes;
    }
}

/// <summary>Bytes from a console.</summary>
/// <param name="Icount">When.</param>
/// <param name="Console">Which console.</param>
/// <param name="StreamOffset">How many bytes that console sent before, since power-on: a replica that goes live repeats none and skips none.</param>
/// <param name="Bytes">The bytes.</param>
public sealed record ConsoleOutput(ulong Icount, ConsoleKind Console, ulong StreamOffset, ImmutableArray<byte> Bytes) : MachineEffect(Icount);

/// <summary>Frames for the network, sent together.</summary>
/// <param name="Icount">When.</param>
/// <param name="Nic">Index in <see cref="MachineConfig.Nics"/>.</param>
/// <param name="Frames">Ethernet frames without frame check sequence, in order.</param>
public sealed record NetTransmit(ulong Icount, int Nic, ImmutableArray<ImmutableArray<byte>> Frames) : MachineEffect(Icount);

/// <summary>A request to a disk; answered by <see cref="DiskCompleted"/>.</summary>
/// <param name="Icount">When.</param>
/// <param name="Disk">Index in <see cref="MachineConfig.Disks"/>.</param>
/// <param name="Request">What to do.</param>
public sealed record DiskRequested(ulong Icount, int Disk, DiskRequest Request) : MachineEffect(Icount);

/// <summary>The machine is off; it does not run on.</summary>
public sealed record PoweredOff(ulong Icount) : MachineEffect(Icount);

/// <summary>The machine was reset; it does not run on.</summary>
public sealed record ResetRequested(ulong Icount) : MachineEffect(Icount);

/// <summary>The machine was started again, and runs on.</summary>
/// <param name="Icount">When.</param>
/// <param name="Cause">What led to it.</param>
public sealed record MachineRestarted(ulong Icount, MachineExitReason Cause) : MachineEffect(Icount);

/// <summary>The guest has crashed, and the machine is held.</summary>
/// <param name="Icount">When.</param>
/// <param name="Cause">How it crashed.</param>
/// <param name="CrashesInRow">The how manieth time in a row.</param>
public sealed record MachineHeld(ulong Icount, MachineExitReason Cause, uint CrashesInRow) : MachineEffect(Icount);
