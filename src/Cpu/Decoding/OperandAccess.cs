namespace FtAkka.Cpu.Decoding;

/// <summary>How an instruction uses its ModRM memory operand.</summary>
internal enum OperandAccess : byte
{
    /// <summary>No memory operand, or one that is not accessed.</summary>
    None,
    Read,
    Write,
    /// <summary>Read and then, perhaps conditionally, written: write permission is needed in any case (CMPXCHG included).</summary>
    ReadWrite,
}
