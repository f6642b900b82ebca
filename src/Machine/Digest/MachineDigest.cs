namespace FtAkka.Machine.Digest;

/// <summary>Hash of one RAM page.</summary>
/// <param name="PhysicalAddress">Guest physical address of its first byte.</param>
/// <param name="Hash">XXH64 of its content.</param>
public readonly record struct PageDigest(ulong PhysicalAddress, ulong Hash);

/// <summary>
/// What primary and backup compare at the same icount. The three parts say where to look when they differ.
/// </summary>
/// <param name="Icount">When it was taken.</param>
/// <param name="Cpu">Registers and everything else the CPU holds.</param>
/// <param name="Devices">Clock, interrupt controllers and devices.</param>
/// <param name="Memory">Content of the pages written since the last digest, or of all pages in a full digest.</param>
public readonly record struct MachineDigest(ulong Icount, ulong Cpu, ulong Devices, ulong Memory);
