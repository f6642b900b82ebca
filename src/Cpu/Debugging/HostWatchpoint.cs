namespace FtAkka.Cpu.Debugging;

/// <summary>Bytes of RAM whose accesses stop the vCPU, whoever makes them and by whatever address.</summary>
/// <param name="PhysicalAddress">First byte, guest physical.</param>
/// <param name="LengthBytes">How many, at least 1.</param>
/// <param name="OnRead">Reads stop. An instruction that only fetches them does not.</param>
/// <param name="OnWrite">Writes stop, also those of devices.</param>
public sealed record HostWatchpoint(ulong PhysicalAddress, int LengthBytes, bool OnRead, bool OnWrite);

/// <summary>An access that a watchpoint caught.</summary>
/// <param name="Watchpoint">Which one.</param>
/// <param name="Write">A write.</param>
/// <param name="Icount">Instructions retired before the instruction, or the interrupt delivery, that made it.</param>
/// <param name="IsExecution">The CPU made it, or a device it spoke to; otherwise a device did by itself, when an input was delivered at that icount.</param>
public sealed record HostWatchHit(HostWatchpoint Watchpoint, bool Write, ulong Icount, bool IsExecution);
