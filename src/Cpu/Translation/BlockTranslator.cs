using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Engine;
using FtAkka.Cpu.Memory;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// Turns guest code into host code. Guest flags stay in host flags, twelve guest registers in host registers, all xmm registers
/// in place; what is added (TLB checks, countdown, look-ups) leaves RFLAGS alone, so state is exact at every instruction and at
/// every fault, without any analysis of what is live. The one exception are flags that the architecture leaves undefined (BlockTranslator.Flags.cs).
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>Longest block, in instructions; the countdown displacement must fit in 8 bits.</summary>
    public const int MaxInstructions = 64;
    /// <summary>No block's code is longer.</summary>
    public const int BlockCodeBytesMax = 32 * 1024;
    private const int InstructionBytesMax = 15;

    /// <summary>No instruction's code is longer, links included; the longest are around 250 bytes (PUSH of memory, CALL through memory).</summary>
    private const int InstructionCodeBytesMax = 512;

    private readonly Stubs _stubs;
    private readonly SoftTlb _tlb;
    private readonly JumpCache _jumps;
    private readonly SiteTables _tables;
    private readonly long _bounceAddress;
    private readonly HostAssembler _asm = new();
    private readonly Encoder _encoder;
    private readonly GuestCodeReader _reader = new();
    private readonly Decoder _decoder;
    private readonly InstructionInfoFactory _infoFactory = new();
    private readonly List<PendingLink> _pendingLinks = [];

    // The block and instruction being translated.
    private Block _block = null!;
    private int _index;
    private int _limit;
    private int _offset;
    private int _bounceSlot;
    private bool _regular;
    private readonly InstructionFeatures _features;
    private readonly int _semantics;
    private readonly bool _noisy;

    public BlockTranslator(
        Stubs stubs, SoftTlb tlb, JumpCache jumps, SiteTables tables, EngineState* state, InstructionFeatures features, VcpuOptions options)
    {
        _addresses = new SystemAddresses(state);
        _features = features;
        _semantics = options.Semantics;
        _noisy = options.FlagNoiseSeed != 0;
        _stubs = stubs;
        _tlb = tlb;
        _jumps = jumps;
        _tables = tables;
        _bounceAddress = (long)(nint)state->Bounce;
        _encoder = Encoder.Create(64, _asm);
        _decoder = Decoder.Create(64, _reader, InstructionPolicy.DecoderOptions);
    }

    /// <summary>Addresses before which regular blocks leave, for the host's debugger; null: none.</summary>
    public IReadOnlySet<ulong>? HostBreakpoints { get; set; }

    /// <summary>Emitted bytes of the last translation, to be copied to where it was translated for.</summary>
    public ReadOnlySpan<byte> EmittedBytes => _asm.Bytes;

    private int TlbSet => (_block.Mode & BlockMode.User) != 0 ? 1 : 0;

    private bool IsBounce => (_block.Mode & BlockMode.Bounce) != 0;

    /// <summary>Decodes one instruction without translating it.</summary>
    public Instruction DecodeOne(ulong linearAddress, byte* bytes, int length)
    {
        _reader.Set(bytes, length);
        _decoder.IP = linearAddress;
        _decoder.Decode(out Instruction instruction);
        return instruction;
    }

    /// <summary>
    /// Translates at most <paramref name="maxInstructions"/> instructions from <paramref name="bytes"/>
    /// (<paramref name="length"/> bytes to the end of the page, or of the gathered crossing instruction) for host address <paramref name="at"/>.
    /// </summary>
    /// <returns>False when the first instruction crosses the end of the bytes: the caller gathers both pages and asks again.</returns>
    public bool Translate(Block block, byte* bytes, int length, int maxInstructions, nint at)
    {
        _block = block;
        _regular = (block.Mode & (BlockMode.Single | BlockMode.Bounce)) == 0;
        _asm.Reset(at);
        _pendingLinks.Clear();
        _bounceSlot = 0;
        _reader.Set(bytes, length);
        _decoder.IP = block.LinearAddress;
        _limit = _regular ? maxInstructions : 1;
        _index = 0;
        _offset = 0;
        _openShadow = null;
        _undefined = 0;
        _carryIsOverflow = false;
        int countPosition = EmitHead();
        bool open = true;
        while (open && _index < _limit && _asm.Position < BlockCodeBytesMax - InstructionCodeBytesMax)
        {
            _offset = (int)(_decoder.IP - block.LinearAddress);
            _decoder.Decode(out Instruction instruction);
            if (instruction.IsInvalid && _decoder.LastError == DecoderError.NoMoreBytes)
            {
                if (_index == 0 && !block.Crossing)
                {
                    return false;
                }
                _decoder.IP = block.LinearAddress + (ulong)_offset;
                break;
            }
            if (_regular && HostBreakpoints is { } breakpoints && breakpoints.Contains(instruction.IP))
            {
                if (_openShadow is null)
                {
                    _decoder.IP = instruction.IP;
                    block.IsHostBreakpoint = true;
                    EndWithSpecial(instruction);
                    open = false;
                }
                break;
            }
            InstructionClass kind = instruction.IsInvalid ? InstructionClass.Undefined : ClassOf(instruction);
            PrepareFlags(instruction, kind);
            if (kind == InstructionClass.Special && TryEmitSystem(instruction, out open))
            {
                _index++;
                // The shadow of an STI before this one is over.
                if (instruction.Code != Code.Sti)
                {
                    _openShadow = null;
                }
                continue;
            }
            if (kind is InstructionClass.Special or InstructionClass.Undefined)
            {
                if (_openShadow is null)
                {
                    EndWithSpecial(instruction);
                    open = false;
                }
                break;
            }
            _openShadow = null;
            open = kind == InstructionClass.Emit ? EmitOwn(instruction) : EmitReencoded(instruction);
            ConcludeFlags(instruction);
            _index++;
        }
        open &= !TryEndWithOpenShadow();
        int end = (int)(_decoder.IP - block.LinearAddress);
        block.LengthBytes = end;
        if (open)
        {
            DefineFlags();
            EmitJumpTo(block.LinearAddress + (ulong)end);
        }
        EmitPendingLinks();
        block.InstructionCount = _index;
        _asm.PatchByte(countPosition, (byte)-_index);
        // Links are emitted at the end: at most two of 50 bytes each for the one branch, or one for the way on.
        return _asm.Position <= BlockCodeBytesMax
            ? true
            : throw new InvalidOperationException($"a block of {_index} instructions took {_asm.Position} bytes of code, more than its bound.");
    }

    private InstructionClass ClassOf(in Instruction instruction)
    {
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(instruction.Code);
        if ((rule.Features & ~_features) != 0)
        {
            return InstructionClass.Undefined;
        }
        if (DefinesAll && DefinedResults.Handles(instruction))
        {
            return InstructionClass.Special;
        }
        if (rule.Class == InstructionClass.Emit && instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv && rule.MemoryBytes < 4)
        {
            return InstructionClass.Special;
        }
        if (rule.Class == InstructionClass.Reemit && (_block.Mode & TrappingModes) != 0 && !IsBounce)
        {
            bool trapped = (rule.NeedsFpuCheck && (_block.Mode & (BlockMode.X87Trapped | BlockMode.X87Unmasked)) != 0)
                || (rule.NeedsSseCheck && (_block.Mode & BlockMode.SseTrapped) != 0)
                || ((rule.Traits & InstructionTraits.SimdError) != 0 && (_block.Mode & BlockMode.SimdUnmasked) != 0);
            return trapped ? InstructionClass.Special : rule.Class;
        }
        return rule.Class;
    }

    private const BlockMode TrappingModes = BlockMode.X87Trapped | BlockMode.SseTrapped | BlockMode.X87Unmasked | BlockMode.SimdUnmasked;

    /// <summary>Exact countdown. The call for an expired budget stands before the entry because jecxz reaches 127 bytes only.</summary>
    private int EmitHead()
    {
        _asm.Dword(_block.Id);
        _asm.Call(_stubs.ExitAddress(ExitKind.BudgetExpired));
        _block.Entry = (nint)_asm.Here;
        _asm.LoadFrame(HostReg.Scratch, FrameLayout.Budget);
        _asm.WriteByte(0x48); // lea rcx, [rcx - n], n filled in at the end
        _asm.WriteByte(0x8D);
        _asm.WriteByte(0x49);
        _asm.WriteByte(0);
        int countPosition = _asm.Position - 1;
        _asm.StoreFrame(FrameLayout.Budget, HostReg.Scratch);
        _asm.RotateScratchHalf();
        _asm.WriteByte(0x67); // jecxz back to the call
        _asm.WriteByte(0xE3);
        _asm.WriteByte(0);
        _asm.PatchByte(_asm.Position - 1, (byte)(sbyte)-(_asm.Position - 4));
        return countPosition;
    }

    /// <summary>The rest of the block is executed in C#: leave with RIP on the instruction, which is not counted yet.</summary>
    private void EndWithSpecial(in Instruction instruction)
    {
        DefineFlags();
        _block.EndsSpecial = true;
        _block.Special = instruction;
        _asm.Call(_stubs.ExitAddress(ExitKind.Special));
        _asm.Dword(_block.Id);
    }

    private readonly record struct PendingLink(int PatchPosition, ulong Target);

    /// <summary>jmp to a guest address of this address space.</summary>
    private void EmitJumpTo(ulong target) => _pendingLinks.Add(new PendingLink(_asm.JmpNear(), target));

    private void EmitConditionalJumpTo(int condition, ulong target) => _pendingLinks.Add(new PendingLink(_asm.Jcc(condition), target));

    private void EmitPendingLinks()
    {
        foreach (PendingLink pending in _pendingLinks)
        {
            int stub = checked((int)_asm.Here);
            _asm.PatchDword(pending.PatchPosition, _asm.Position - (pending.PatchPosition + 4));
            // Inside one page the mapping that leads here also holds for the target. Anything else goes through the jump cache,
            // which is dropped with the mapping. An instruction near the page end may itself need the next page.
            bool samePage = _regular && !_block.Crossing
                && (pending.Target ^ _block.LinearAddress) < 4096
                && (pending.Target & 4095) <= 4096 - InstructionBytesMax;
            if (!samePage && _regular)
            {
                EmitConstantLookup(pending.Target);
            }
            int id = _tables.AddLink(new Link
            {
                Block = _block.Id,
                Patch = checked((int)(_asm.BaseAddress + pending.PatchPosition)),
                Stub = stub,
                Target = pending.Target,
                SamePage = samePage,
                NextIncoming = -1,
                To = -1,
                NextFar = -1,
            });
            _asm.Call(_stubs.ExitAddress(ExitKind.Link));
            _asm.Dword(id);
        }
    }

    /// <summary>Jump-cache look-up of a known address; falls through on a miss.</summary>
    private void EmitConstantLookup(ulong target)
    {
        int slot = (int)(target & 0xFFFF);
        _asm.LoadAbsolute(HostReg.Scratch, _jumps.NegatedTargets(TlbSet) + (8L * slot));
        if ((long)target is >= int.MinValue and <= int.MaxValue)
        {
            _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.None, 0, (int)(long)target);
        }
        else
        {
            _asm.MovImmediate(HostReg.Address, target);
            _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Address, 0, 0);
        }
        int hit = _asm.Jrcxz();
        int miss = _asm.JmpShort();
        _asm.Bind(hit);
        _asm.JmpAbsolute(_jumps.Entries(TlbSet) + (8L * slot));
        _asm.Bind(miss);
    }

    /// <summary>Jump to the guest address in <see cref="HostReg.Address"/>, in the same mode.</summary>
    private void EmitIndirectJump()
    {
        if (_regular)
        {
            EmitIndirectJump(TlbSet, ExitKind.IndirectMiss);
            return;
        }
        _asm.Call(_stubs.ExitAddress(ExitKind.IndirectMiss));
        _asm.Dword(_block.Id);
    }

    /// <summary>Jump to the guest address in <see cref="HostReg.Address"/>, looked up in one set of the jump cache.</summary>
    private void EmitIndirectJump(int set, ExitKind miss)
    {
        _asm.MovzxWord(HostReg.Addend, HostReg.Address);
        _asm.LoadTable(HostReg.Scratch, HostReg.Addend, _jumps.NegatedTargets(set));
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Address, 0, 0);
        int hit = _asm.Jrcxz();
        _asm.Call(_stubs.ExitAddress(miss));
        _asm.Dword(_block.Id);
        _asm.Bind(hit);
        _asm.JmpTable(HostReg.Addend, _jumps.Entries(set));
    }
}

/// <summary>Feeds guest bytes to Iced without copying.</summary>
internal sealed unsafe class GuestCodeReader : CodeReader
{
    private byte* _next;
    private byte* _end;

    public void Set(byte* bytes, int length)
    {
        _next = bytes;
        _end = bytes + length;
    }

    /// <summary>The next byte to read: to come back after a look ahead.</summary>
    public byte* Position
    {
        get => _next;
        set => _next = value;
    }

    public override int ReadByte() => _next < _end ? *_next++ : -1;
}
