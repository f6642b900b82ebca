namespace FtAkka.Replication.Protection;

/// <summary>One session of the log channel: one attempt of the primary of one generation to have a backup.</summary>
public readonly record struct ChannelSession(ulong Generation, ulong Attempt);
