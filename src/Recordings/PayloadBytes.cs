using FtAkka.Machine.Events;
using FtAkka.Replication.Log;

namespace FtAkka.Recordings;

/// <summary>The bytes that an entry brings into the machine.</summary>
internal static class PayloadBytes
{
    public static byte[] Of(LogEntry entry) => entry.Payload switch
    {
        InputPayload { Input: NetReceive frame } => [.. frame.Frame],
        InputPayload { Input: DiskCompleted disk } => [.. disk.Completion.Data],
        InputPayload { Input: ConsoleInput typed } => [.. typed.Bytes],
        _ => [],
    };
}
