namespace FtAkka.Cpu.Memory;

/// <summary>Kind of a linear access, for permission and error-code purposes.</summary>
internal enum AccessKind : byte { Read, Write, Execute }
