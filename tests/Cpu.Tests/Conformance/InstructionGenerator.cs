using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// Builds random instances of an Iced code from its operand kinds, with register and memory contents under which it cannot trap natively.
/// Writes operand values into the data area of the native runner.
/// </summary>
internal sealed partial class InstructionGenerator(SeededRandom random, NativeRunner runner)
{
    private const int Attempts = 60;

    private readonly OperandAddressing _addressing = new(random);
    private readonly ByteListWriter _writer = new();
    private List<ulong> _touched = [];
    private ConformanceCase _case = null!;
    private Instruction _instruction;
    private OperandPlace? _forcedPlace;
    private bool _wantDivideError;
    private uint _pinned; // registers whose value the instruction's meaning fixes, by number

    private MachineState State => _case.Initial;

    /// <summary>The codes the whitelist lets run: each has at least one form that can be compared with the host.</summary>
    public static IReadOnlyList<Code> Codes { get; } = Enum.GetValues<Code>()
        .Where(code => InstructionPolicy.ClassOf(code, InstructionFeatures.Ftvm64V1) is InstructionClass.Reemit or InstructionClass.Emit).ToArray();

    /// <summary>One random case of <paramref name="code"/>.</summary>
    public ConformanceCase Generate(Code code) => Generate(code, null, wantDivideError: false);

    /// <summary>A case of <paramref name="code"/> with a memory operand at <paramref name="place"/>.</summary>
    public ConformanceCase GenerateAt(Code code, OperandPlace place) => Generate(code, place, wantDivideError: false);

    /// <summary>A DIV or IDIV whose quotient does not fit.</summary>
    public ConformanceCase GenerateDivideError(Code code) => Generate(code, null, wantDivideError: true);

    private ConformanceCase Generate(Code code, OperandPlace? place, bool wantDivideError)
    {
        _forcedPlace = place;
        _wantDivideError = wantDivideError;
        _touched = []; // across attempts: those that failed have written as well
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryGenerate(code)) { return _case; }
        }
        throw new InvalidOperationException($"No case of {code} in {Attempts} attempts.");
    }

    private bool TryGenerate(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        _case = new ConformanceCase { Code = code, Touched = _touched };
        _instruction = default;
        _instruction.Code = code;
        _pinned = 1 << 4;
        if (_current is null)
        {
            RandomState.Fill(State, random);
            PlaceStack();
            FillData(State.Gpr[4] - 64, 128);
            PlaceCode();
        }
        else
        {
            State.CopyFrom(_current);
            if (!IsStack(State.Gpr[4])) { PlaceStack(); }
        }

        int memoryOperand = -1;
        for (int i = 0; i < info.OpCount; i++)
        {
            OpCodeOperandKind kind = info.GetOpKind(i);
            if (kind is OpCodeOperandKind.mem or OpCodeOperandKind.mem_offs || (InstructionPolicy.IsModRmMemory(kind) && (_forcedPlace is not null || random.Percent(50))))
            {
                memoryOperand = i;
                _instruction.SetOpKind(i, OpKind.Memory);
            }
            else if (!TrySetOperand(i, kind))
            {
                return false;
            }
        }
        return TryFixRegisters(memoryOperand) && (memoryOperand < 0 || TrySetMemory(info.GetOpKind(memoryOperand)))
            && TryFixContents(memoryOperand) && TryEncode(info, memoryOperand);
    }

    private void PlaceStack()
    {
        State.Gpr[4] = runner.DataAddress + (ulong)random.Between(ScratchLayout.StackStart + 256, ScratchLayout.StackEnd - 256);
        if (random.Percent(80)) { State.Gpr[4] &= ~7ul; }
    }

    private void PlaceCode()
    {
        int offset = random.Percent(5)
            ? 4096 - random.Between(1, 14) // across a page end, if long enough
            : random.Between(256, NativeRunner.CodeBytes - 512);
        State.Rip = runner.CodeAddress + (ulong)offset;
    }

    private bool TrySetOperand(int i, OpCodeOperandKind kind)
    {
        switch (kind)
        {
            case OpCodeOperandKind.br64_1:
            case OpCodeOperandKind.br64_4:
                int distance = kind == OpCodeOperandKind.br64_4 && random.Percent(70)
                    ? random.Between(-200, 200) * 16
                    : random.Percent(50) ? random.Between(48, 100) : random.Between(-100, -48);
                if (!SetTarget(distance)) { return false; }
                _instruction.SetOpKind(i, OpKind.NearBranch64);
                _instruction.NearBranch64 = _case.BranchTarget;
                return true;
            case OpCodeOperandKind.imm8_const_1:
                _instruction.SetOpKind(i, OpKind.Immediate8);
                _instruction.Immediate8 = 1;
                return true;
            case OpCodeOperandKind.imm8: SetImmediate(i, OpKind.Immediate8); return true;
            case OpCodeOperandKind.imm8sex16: SetImmediate(i, OpKind.Immediate8to16); return true;
            case OpCodeOperandKind.imm8sex32: SetImmediate(i, OpKind.Immediate8to32); return true;
            case OpCodeOperandKind.imm8sex64: SetImmediate(i, OpKind.Immediate8to64); return true;
            case OpCodeOperandKind.imm16: SetImmediate(i, OpKind.Immediate16); return true;
            case OpCodeOperandKind.imm32: SetImmediate(i, OpKind.Immediate32); return true;
            case OpCodeOperandKind.imm32sex64: SetImmediate(i, OpKind.Immediate32to64); return true;
            case OpCodeOperandKind.imm64: SetImmediate(i, OpKind.Immediate64); return true;
            default:
                Register register = RegisterFor(kind);
                _instruction.SetOpKind(i, OpKind.Register);
                _instruction.SetOpRegister(i, register);
                return true;
        }
    }

    private void SetImmediate(int operand, OpKind kind)
    {
        _instruction.SetOpKind(operand, kind);
        ulong value = RandomState.Integer(random);
        switch (kind)
        {
            case OpKind.Immediate8: _instruction.Immediate8 = (byte)value; break;
            case OpKind.Immediate8to16: _instruction.Immediate8to16 = (sbyte)value; break;
            case OpKind.Immediate8to32: _instruction.Immediate8to32 = (sbyte)value; break;
            case OpKind.Immediate8to64: _instruction.Immediate8to64 = (sbyte)value; break;
            case OpKind.Immediate16: _instruction.Immediate16 = (ushort)value; break;
            case OpKind.Immediate32: _instruction.Immediate32 = (uint)value; break;
            case OpKind.Immediate32to64: _instruction.Immediate32to64 = (int)value; break;
            default: _instruction.Immediate64 = value; break;
        }
    }

    private Register RegisterFor(OpCodeOperandKind kind)
    {
        switch (kind)
        {
            case OpCodeOperandKind.al: return Register.AL;
            case OpCodeOperandKind.cl: return Register.CL;
            case OpCodeOperandKind.ax: return Register.AX;
            case OpCodeOperandKind.dx: return Register.DX;
            case OpCodeOperandKind.eax: return Register.EAX;
            case OpCodeOperandKind.rax: return Register.RAX;
            case OpCodeOperandKind.st0: return Register.ST0;
            case OpCodeOperandKind.sti_opcode: return Register.ST0 + random.Below(8);
            case OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem: return Register.MM0 + random.Below(8);
            case OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.xmm_or_mem: return Register.XMM0 + random.Below(16);
            case OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_opcode or OpCodeOperandKind.r8_or_mem:
                return random.Percent(30) ? Register.AH + random.Below(4) : General(Register.AL, Register.R8L);
            case OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r16_rm:
                return Register.AX + Number();
            case OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r32_rm
                or OpCodeOperandKind.r32_vvvv:
                return Register.EAX + Number();
            case OpCodeOperandKind.r64_reg or OpCodeOperandKind.r64_opcode or OpCodeOperandKind.r64_or_mem or OpCodeOperandKind.r64_rm
                or OpCodeOperandKind.r64_vvvv:
                return Register.RAX + Number();
            default:
                throw new InvalidOperationException($"{_instruction.Code} has an operand of kind {kind}, which the generator does not know.");
        }
    }

    private int Number() => random.Percent(60) ? random.Below(16) : random.Percent(40) ? random.Between(12, 15) : random.Pick([1, 4]);

    /// <summary>AL..BL, SPL..DIL are not contiguous with AH..BH between them; R8L follows.</summary>
    private Register General(Register low, Register high)
    {
        int number = Number();
        return number < 4 ? low + number : number < 8 ? Register.SPL + (number - 4) : high + (number - 8);
    }

    private bool SetTarget(int distance)
    {
        long target = (long)(State.Rip - runner.CodeAddress) + distance;
        if (target is < 16 or > NativeRunner.CodeBytes - 64 || Math.Abs(distance) < 48) { return false; }
        _case.BranchTarget = runner.CodeAddress + (ulong)target;
        return true;
    }

    private void FillData(ulong address, int length)
    {
        if (_current is not null) { return; } // The guest runs the whole sequence at once: memory cannot change in between.
        random.Fill(DataAt(address, length));
        _touched.Add(address + ((ulong)length / 2));
    }

    private Span<byte> DataAt(ulong address, int length) => runner.Data.Slice((int)(address - runner.DataAddress), length);

    private bool TryEncode(OpCodeInfo info, int memoryOperand)
    {
        bool canLock = info.CanUseLockPrefix && memoryOperand == 0;
        _instruction.HasLockPrefix = canLock && random.Percent(40);
        int junk = _forcedPlace is null && random.Percent(15) ? 1 : 0;
        if (_current is not null) { AddLoads(_current); }
        _writer.Clear();
        var encoder = Iced.Intel.Encoder.Create(64, _writer);
        if (!encoder.TryEncode(_instruction, State.Rip + (ulong)junk, out _, out _)) { return false; } // AH with REX, for one
        if (_writer.Bytes.Length + junk > 15) { return false; }
        _case.Bytes = junk == 0 ? _writer.Bytes.ToArray() : [JunkPrefix(info), .. _writer.Bytes];
        _case.Segment = _instruction.SegmentPrefix;

        var decoder = Iced.Intel.Decoder.Create(64, _case.Bytes, State.Rip, InstructionPolicy.DecoderOptions);
        decoder.Decode(out Instruction decoded);
        _case.Instruction = decoded;
        // Some encodings have several names (XCHG rAX, rAX is NOP; MOV forms): all right as long as it is still runnable.
        return decoded.Length == _case.Bytes.Length && decoded.Mnemonic == _instruction.Mnemonic
            && (memoryOperand < 0 || decoded.MemorySegment == _instruction.MemorySegment || decoded.SegmentPrefix == Register.None);
    }

    /// <summary>A prefix that means nothing here: a segment without base or, where it is no part of an opcode, a repeat prefix.</summary>
    private byte JunkPrefix(OpCodeInfo info)
    {
        bool repeatIsFree = info.Encoding == EncodingKind.Legacy && info.Table == OpCodeTableKind.Normal && info.OpCode < 0xD0
            && info.Mnemonic is not (Mnemonic.Nop or Mnemonic.Pause or Mnemonic.Xchg);
        return _instruction.SegmentPrefix != Register.None ? (byte)0x26 : repeatIsFree ? random.Pick<byte>([0x26, 0x2E, 0x36, 0x3E, 0xF2, 0xF3])
            : random.Pick<byte>([0x26, 0x2E, 0x36, 0x3E]);
    }
}
