using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <content>Instructions that follow each other: what one leaves behind is what the next starts from.</content>
internal sealed partial class InstructionGenerator
{
    private MachineState? _current;

    /// <summary>The codes that can stand inside a sequence: no transfers.</summary>
    public static IReadOnlyList<Code> StraightLineCodes { get; } = Codes
        .Where(code => !InstructionPolicy.Of(code).Has(InstructionTraits.Transfer))
        .ToArray();

    /// <summary>
    /// An instance of <paramref name="code"/> that starts from <paramref name="current"/>, except for registers that have to be loaded first
    /// (<see cref="ConformanceCase.Loads"/>). Writes no memory. Null if chance did not find one.
    /// </summary>
    public ConformanceCase? TryContinue(Code code, MachineState current)
    {
        _current = current;
        _forcedPlace = null;
        _wantDivideError = false;
        _touched = [];
        try
        {
            return TryGenerate(code) ? _case : null;
        }
        finally
        {
            _current = null;
        }
    }

    /// <summary>Encodes MOV r64, imm64 for every load of <paramref name="case"/> and then the instruction.</summary>
    public static void AppendTo(List<byte> code, ConformanceCase @case)
    {
        foreach (int register in @case.Loads)
        {
            code.Add((byte)(0x48 | (register >> 3)));
            code.Add((byte)(0xB8 | (register & 7)));
            code.AddRange(BitConverter.GetBytes(@case.Initial.Gpr[register]));
        }
        code.AddRange(@case.Bytes);
    }

    private bool IsStack(ulong address) =>
        address - runner.DataAddress is >= ScratchLayout.StackStart + 256 and <= ScratchLayout.StackEnd - 256;

    private void AddLoads(MachineState current)
    {
        const int LoadBytes = 10;
        _case.Loads = Enumerable.Range(0, 16).Where(i => State.Gpr[i] != current.Gpr[i]).ToArray();
        State.Rip += (ulong)(_case.Loads.Count * LoadBytes);
    }
}
