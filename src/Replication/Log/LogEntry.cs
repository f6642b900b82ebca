using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;

namespace FtAkka.Replication.Log;

/// <summary>Log sequence number: the position of an entry in its VM's log, from 1 on, without gaps.</summary>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>Before the first entry.</summary>
    public static Lsn None => default;

    public Lsn Next => new(checked(Value + 1));

    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;

    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>What a log entry says.</summary>
public abstract record LogPayload;

/// <summary>Something non-deterministic entered the machine.</summary>
public sealed record InputPayload(InputEvent Input) : LogPayload;

/// <summary>
/// A disk read ended well, and a replica that replays has the data from its own copy of the disk (the paper, 4.2). Only on the channel to a backup that
/// reads its disk; a recording has an <see cref="InputPayload"/>.
/// </summary>
/// <param name="Disk">Index of the disk.</param>
/// <param name="Id">The request.</param>
public sealed record OwnReadPayload(int Disk, ulong Id) : LogPayload;

/// <summary>
/// Outputs were made; their content is not in the log, since a replica that replays computes it. None of them may leave before
/// this entry is acknowledged (the paper, 2.2).
/// </summary>
/// <param name="LastOutput">Number of the last output made so far; outputs of a VM are numbered from 1 in the order of the machine's effects.</param>
public sealed record OutputMarkPayload(ulong LastOutput) : LogPayload;

/// <summary>The recorder's state digest: registers, devices and the pages written since the last digest or checkpoint.</summary>
public sealed record DigestPayload(MachineDigest Digest) : LogPayload;

/// <summary>
/// A snapshot was taken here: what the next digest covers starts at this entry. A replay that comes past does the same, so that one
/// that starts from the snapshot computes equal digests.
/// </summary>
public sealed record CheckpointPayload : LogPayload;

/// <summary>The machine ended.</summary>
public sealed record EndPayload(MachineExitReason Reason) : LogPayload
{
    /// <summary>How it ended, for people.</summary>
    public string Text => Reason switch
    {
        MachineExitReason.PowerOff => "the machine ended: it was switched off",
        MachineExitReason.Reset => "the machine ended: it was reset",
        MachineExitReason.TripleFault => "the machine ended: triple fault",
        MachineExitReason.Panic => "the machine ended: its kernel panicked",
        _ => $"the machine ended: {Reason}",
    };
}

/// <summary>One entry of a VM's log.</summary>
/// <param name="Lsn">Its number.</param>
/// <param name="Icount">Instructions retired when it happened; never less than that of the entry before.</param>
/// <param name="Payload">What happened.</param>
public sealed record LogEntry(Lsn Lsn, ulong Icount, LogPayload Payload);
