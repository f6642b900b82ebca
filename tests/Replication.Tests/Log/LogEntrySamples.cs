using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Tests.Log;

/// <summary>Entries of every kind.</summary>
internal static class LogEntrySamples
{
    /// <summary>At least one payload of each kind, with border values.</summary>
    public static IReadOnlyList<LogPayload> Payloads(Random random) =>
    [
        new InputPayload(new NetReceive(random.Next(8), [.. Bytes(random, random.Next(60, 1600))])),
        new InputPayload(new NetReceive(0, [])),
        new InputPayload(new NetLinkChange(1, true)),
        new InputPayload(new NetLinkChange(int.MaxValue, false)),
        new InputPayload(new DiskCompleted(2, new DiskCompletion((ulong)random.NextInt64(), DiskStatus.Ok, [.. Bytes(random, 512 * random.Next(0, 20))]))),
        new InputPayload(new DiskCompleted(0, new DiskCompletion(ulong.MaxValue, DiskStatus.IoError, []))),
        new InputPayload(new DiskCompleted(0, new DiskCompletion(0, DiskStatus.Unsupported, []))),
        new InputPayload(new DiskCapacityChange(0, ulong.MaxValue)),
        new InputPayload(new ConsoleInput(ConsoleKind.Serial, [.. Bytes(random, random.Next(40))])),
        new InputPayload(new ConsoleInput(ConsoleKind.Virtio, [0])),
        new InputPayload(new ClockAdvance(ulong.MaxValue)),
        new InputPayload(new ClockAdvance((ulong)random.NextInt64())),
        .. Enum.GetValues<ControlOperation>().Select(operation => new InputPayload(new Control(operation))),
        new OutputMarkPayload((ulong)random.NextInt64()),
        new DigestPayload(new MachineDigest(0, ulong.MaxValue, (ulong)random.NextInt64(), 1)),
        new CheckpointPayload(),
        new OwnReadPayload(3, ulong.MaxValue),
        .. Enum.GetValues<MachineExitReason>().Select(reason => new EndPayload(reason)),
    ];

    /// <summary>Entries of every kind that follow each other.</summary>
    public static List<LogEntry> Entries(Random random, ulong firstLsn = 1)
    {
        var entries = new List<LogEntry>();
        ulong icount = (ulong)random.NextInt64();
        foreach (LogPayload payload in Payloads(random))
        {
            icount += random.Next(3) == 0 ? 0 : (ulong)random.NextInt64(1L << random.Next(40));
            LogPayload placed = payload is DigestPayload digest ? new DigestPayload(digest.Digest with { Icount = icount }) : payload;
            entries.Add(new LogEntry(new Lsn(firstLsn + (ulong)entries.Count), icount, placed));
        }
        return entries;
    }

    /// <summary>An entry by content: records with arrays compare by reference.</summary>
    public static string Text(LogEntry entry) => $"{entry.Lsn} {entry.Icount} {Convert.ToHexString(LogEntries.Encode(entry))}";

    private static byte[] Bytes(Random random, int count)
    {
        byte[] bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }
}
