using FtAkka.Machine.Events;
using FtAkka.Replication.Log;

namespace FtAkka.Actors.Recordings;

/// <summary>Bytes of content that an entry carries, to bound what waits to be written.</summary>
internal static class PayloadSize
{
    public static int Of(LogPayload payload) => payload switch
    {
        InputPayload { Input: NetReceive frame } => frame.Frame.Length,
        InputPayload { Input: DiskCompleted disk } => disk.Completion.Data.Length,
        InputPayload { Input: ConsoleInput console } => console.Bytes.Length,
        _ => 0,
    };
}
