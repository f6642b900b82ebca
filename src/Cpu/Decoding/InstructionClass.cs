namespace FtAkka.Cpu.Decoding;

/// <summary>What the translator does with an instruction. <see cref="Undefined"/> is the default: what nobody listed is not executed.</summary>
internal enum InstructionClass : byte
{
    /// <summary>#UD in 64-bit mode on the guest's CPU model, or a code the decoder never produces with <see cref="InstructionPolicy.DecoderOptions"/>.</summary>
    Undefined,
    /// <summary>Re-encoded with renamed registers and a translated address; the host CPU supplies the semantics.</summary>
    Reemit,
    /// <summary>The translator has its own emission: control transfers, stack accesses, divisions, bit strings.</summary>
    Emit,
    /// <summary>Executed in C#: system, segment, string, I/O and state-management instructions.</summary>
    Special,
}
